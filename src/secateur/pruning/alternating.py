"""Alternating: a net is trained whole and cut by turns, and cut at the end."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from secateur.errors import MaskError

_WARM_UP, _LAST_WHOLE = 2, 2


@dataclass(frozen=True)
class Alternating:
    """The phases of AC/DC (Peste et al. 2021, arXiv 2106.12379, algorithm 1).

    In the proportions of the paper's training on ImageNet: the net is whole for two units of the
    way to `end`, then cut and whole by turns for one unit each, whole for two, and from `end` on it
    is cut for good. With 8 phases that are cut and `end` at 85 % of the training a unit is 5 %.

    Attributes:
        end: The step at which the last phase begins, which is cut.
        phases: How many phases are cut.

    Raises:
        MaskError: The numbers describe no schedule.

    Example:
        >>> plan = Alternating(end=50, phases=2)
        >>> [(plan.last_cut(step), plan.is_cut(step)) for step in (0, 20, 30, 50)]
        [(None, False), (20, True), (30, False), (50, True)]
    """

    end: int
    phases: int = 8

    def __post_init__(self) -> None:
        for name, value, right in (
            ("end", self.end, self.end >= 0),
            ("phases", self.phases, self.phases >= 1),
        ):
            if not right:
                raise MaskError(
                    "planning alternating training",
                    name,
                    given=f"{value}",
                    expected="end >= 0, phases >= 1",
                    remedy="Mend this number; end is a step of the optimizer.",
                )

    @cached_property
    def _switches(self) -> tuple[int, ...]:
        """The steps at which the net is cut, made whole, cut, ...; of short ones some are equal."""
        turns = 2 * (self.phases - 1)
        units = _WARM_UP + turns - 1 + _LAST_WHOLE
        begun = [self.end * (_WARM_UP + turn) // units for turn in range(turns)]
        return (*begun, self.end)

    def last_cut(self, step: int) -> int | None:
        """The step at which the phase of a step begins; None in the first one."""
        number = bisect_right(self._switches, step)
        return self._switches[number - 1] if number else None

    def is_cut(self, step: int) -> bool:
        """Whether the net is cut in the phase of a step."""
        return bisect_right(self._switches, step) % 2 == 1

    def towards(self, level: float, step: int) -> float:
        """The sparsity of a step: the level, or none."""
        return level if self.is_cut(step) else 0.0
