"""A target: what a cut net may cost, in place of a sparsity.

A share below 1 is of the dense net's own cost; a whole number, or any of milliseconds, is absolute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Cost = Literal["macs", "parameters", "bytes", "latency_ms"]
COSTS: tuple[str, ...] = get_args(Cost)

_TEXT = re.compile(r"(\w+)=(\d+(?:\.\d+)?(?:e\d{1,2})?)([kMG]?)(?:@(\d+))?")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


class Target(NamedTuple):
    """What is asked for.

    Attributes:
        cost: `macs`, `parameters`, `bytes`, or `latency_ms` of a pass.
        limit: At most so much; below 1 a share of the dense net's, but of milliseconds.
        batch: Of a latency: examples in a pass.
    """

    cost: str
    limit: float
    batch: int = 1

    @property
    def is_share(self) -> bool:
        """Whether the limit is a share of the dense net's cost."""
        return self.cost != "latency_ms" and 0 < self.limit < 1

    def __str__(self) -> str:
        """`macs=0.5`, `bytes=200000`, `latency_ms=2@64`."""
        return f"{self.cost}={self.limit:.12g}" + (f"@{self.batch}" if self.batch != 1 else "")


def is_target(value: object) -> bool:
    """Whether settings ask for a cost: a table with the name of one, such a text, or a target."""
    if isinstance(value, Mapping):
        return any(name in value for name in COSTS)
    if isinstance(value, str):
        return value.partition("=")[0] in COSTS
    return isinstance(value, list | tuple) and len(value) == 3 and value[0] in COSTS


def parse_target(value: object) -> Target:
    """A target as settings write it.

    Args:
        value: `{"macs": 0.5}`, `{"bytes": 200_000}`, `{"latency_ms": 2.0, "batch": 1}`, the same in
            words (`"bytes=200k"`, `"latency_ms=2@64"`), or a target.

    Raises:
        ValueError: It is none.

    Example:
        >>> str(parse_target({"macs": 0.5})), parse_target("bytes=200k").limit
        ('macs=0.5', 200000)
    """
    if isinstance(value, str):
        found = _TEXT.fullmatch(value.strip())
        if found is None:
            raise ValueError("a cost and its limit, as in macs=0.5, bytes=200k or latency_ms=2@64")
        limit = float(found[2]) * _UNITS[found[3]]
        value = {found[1]: int(limit) if limit.is_integer() else limit, "batch": int(found[4] or 1)}
    if isinstance(value, list | tuple):
        value = {value[0]: value[1], "batch": value[2]}
    if not isinstance(value, Mapping):
        raise ValueError("a table with one cost, as in {macs = 0.5}")
    costs = [name for name in value if name != "batch"]
    if len(costs) != 1 or costs[0] not in COSTS:
        raise ValueError(f"one of {', '.join(COSTS)}, and `batch` beside latency_ms")
    cost, limit, batch = costs[0], value[costs[0]], value.get("batch", 1)
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < 2**63:
        raise ValueError("a limit above 0: a share of the dense net's below 1, or a whole number")
    if limit >= 1 and cost != "latency_ms" and float(limit) != int(limit):
        raise ValueError("a share below 1, or a whole number")
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ValueError("a batch of 1 or more")
    if batch != 1 and cost != "latency_ms":
        raise ValueError("a batch beside latency_ms only")
    return Target(cost, limit, batch)
