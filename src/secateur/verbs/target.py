"""Reaching a target: the smallest sparsity whose cut net costs no more than was asked.

Costs fall as sparsity rises, so the sparsity is found by halving and interpolation over the number
of weights; what counts is the net as it comes out, its channels taken out where that is exact.
"""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from secateur.artifact.save import save
from secateur.channels import compact_with_record
from secateur.errors import ChannelError, MaskError
from secateur.foundation.target import Target, parse_target
from secateur.measure.cost import cost
from secateur.measure.latency import latency
from secateur.point import Reached
from secateur.pruning.masks import Masks

_HIGHEST = 0.999
_NEAR = 0.995
"""A cost between this share of the limit and the limit is near enough."""

_COUNTED = ("macs", "parameters")
Cost = tuple[float, float, float]
CutAt = Callable[[nn.Module, float], Masks]
"""From the net and a sparsity to the masks; the net is left as it is."""


def reach(
    model: nn.Module,
    target: Target,
    cut_at: CutAt,
    example_inputs: Any,
    *,
    structured: bool,
    room: Callable[[float], float] = float,
) -> Reached:
    """Find the smallest sparsity that reaches a target.

    Args:
        model: The dense net; it is not touched.
        target: What is asked for. Of single weights, MACs and parameters are those that are not
            zero; of channels, all that the compact net has.
        cut_at: Gives its masks at a sparsity.
        example_inputs: A batch that the net accepts.
        structured: Whether channels are cut, and not single weights alone.
        room: From the limit to what the search keeps to, where the net will cost more later.

    Returns:
        The sparsity, and what its net costs.

    Raises:
        MaskError: No sparsity up to 0.999 reaches it, and the reachable range is named; or there
            is no example.
    """
    if example_inputs is None:
        raise MaskError(
            "reaching a target",
            str(target),
            given="without example inputs",
            expected="a batch that the net accepts: costs are counted on it",
            remedy="Pass example_inputs=.",
        )
    exact = _Costs(model, target, cut_at, example_inputs, structured)
    # What is counted needs no comparison of networks on the way, only at the end.
    quick = replace(exact, verify=False) if target.cost in _COUNTED else exact
    found = _reached(quick, target, room)
    if quick is exact or exact.of(found.sparsity) == quick.of(found.sparsity):
        return found
    return _reached(exact, target, room)


def _reached(costs: _Costs, target: Target, room: Callable[[float], float]) -> Reached:
    dense = costs.dense()
    limit = target.limit * dense if target.is_share else target.limit
    asked = room(limit)
    if costs.of(0.0)[0] <= asked:
        return Reached(str(target), 0.0, limit, *costs.of(0.0), dense)
    _check(costs, target, asked, dense)
    sparsity = _search(costs, asked)
    return Reached(str(target), sparsity, limit, *costs.of(sparsity), dense)


def _search(costs: _Costs, asked: float) -> float:
    """The smallest sparsity whose cost is at most so much, or one whose cost is near it.

    Costs are nearly straight between two sparsities: two of three steps go where a line would have
    the cost, the third halves what is left, so that no form of the curve takes long.
    """
    low, high = 0, max(1, min(math.ceil(_HIGHEST * costs.weights), costs.weights - 1))
    aim, step = asked * (1 + _NEAR) / 2, 0
    while high - low > 1:
        step += 1
        dear, cheap = (costs.of(end / costs.weights)[0] for end in (low, high))
        middle = (low + high) // 2
        if step % 3 and dear > cheap:
            middle = round(low + (high - low) * (dear - aim) / (dear - cheap))
        middle = min(max(middle, low + 1), high - 1)
        found = costs.of(middle / costs.weights)[0]
        if found > asked:
            low = middle
            continue
        high = middle
        if found >= _NEAR * asked:
            break
    return high / costs.weights


def check_reach(
    model: nn.Module, target: Target, cut_at: CutAt, example_inputs: Any, *, structured: bool
) -> None:
    """Refuse a target that no sparsity reaches, by one cut.

    Args:
        model: As for `reach`.
        target: As for `reach`.
        cut_at: As for `reach`.
        example_inputs: As for `reach`.
        structured: As for `reach`.

    Raises:
        MaskError: No sparsity up to 0.999 reaches it; the reachable range is named.
    """
    costs = _Costs(model, target, cut_at, example_inputs, structured)
    dense = costs.dense()
    _check(costs, target, target.limit * dense if target.is_share else target.limit, dense)


def _check(costs: _Costs, target: Target, asked: float, dense: float) -> None:
    least = costs.of(_HIGHEST)[0]
    if least > asked:
        raise MaskError(
            "reaching a target",
            str(target),
            given=f"out of reach: from {least:.6g} at a sparsity of {_HIGHEST} to {dense:.6g}",
            expected=f"a limit in that range, or a share of at least {least / dense:.3g}",
            remedy="Raise it, or let more layers take part.",
        )


def checked_target(target: object, sparsity: object) -> Target:
    """The target that was asked for, where it stands alone.

    Raises:
        MaskError: It is none, or a sparsity is given beside it, or neither.
    """
    if target is None or sparsity is not None:
        raise MaskError(
            "prune",
            "the sparsity",
            given="given beside a target" if sparsity is not None else "not given",
            expected="a sparsity or a target",
            remedy="Pass one of the two.",
        )
    try:
        return parse_target(target)
    except ValueError as error:
        raise MaskError(
            "prune",
            "the target",
            given=f"{target!r:.60}",
            expected=str(error),
            remedy='Mend it, as in target={"macs": 0.5}.',
        ) from None


@dataclass
class _Costs:
    """What the net costs at a sparsity: the number, and its quartiles where it is a time."""

    model: nn.Module
    target: Target
    cut: CutAt
    example: Any
    structured: bool
    verify: bool = True
    _known: dict[float, Cost] = field(default_factory=dict, init=False)
    _made: list[tuple[Masks, Cost]] = field(default_factory=list, init=False)
    _weights: int = field(default=0, init=False)

    @property
    def weights(self) -> int:
        """How many weights the masks of a cut are of."""
        if not self._weights:
            self.of(0.0)
        return max(1, self._weights)

    def of(self, sparsity: float) -> Cost:
        """The cost and its quartiles."""
        if sparsity not in self._known:
            masks = self.cut(self.model, sparsity)
            self._weights = masks.total
            same = next((found for made, found in self._made if made == masks), None)
            self._known[sparsity] = self._measured(masks) if same is None else same
            if same is None and self.structured:  # single weights go one by one
                self._made.append((masks, self._known[sparsity]))
        return self._known[sparsity]

    def dense(self) -> float:
        """What the net costs as it is: every parameter, whatever its value."""
        if self.target.cost in _COUNTED:
            return float(getattr(cost(self.model, self.example), self.target.cost))
        return self.of(0.0)[0]

    def _measured(self, masks: Masks) -> Cost:
        net = copy.deepcopy(self.model)
        masks.apply(net)
        # A cut that was tried when it was chosen is made again for less than it is planned anew.
        tried = masks.traced is not None and masks.traced.verified is not None
        try:
            record = compact_with_record(net, masks, self.example, verify=self.verify or tried)
        except ChannelError:
            record = None
        small = (net if record is None else record.model).eval()
        if self.target.cost == "latency_ms":
            timed = latency(small, self.example, batch=self.target.batch)
            return 1e3 * timed.median, 1e3 * timed.q1, 1e3 * timed.q3
        if self.target.cost == "bytes":
            kept = None if record is None else record.kept
            size = _file_size(small, masks, net, kept, self.example)
            return size, size, size
        counted = cost(small, self.example)
        if self.target.cost == "macs":
            found = counted.macs if self.structured else counted.nonzero_macs
        else:
            found = counted.parameters if self.structured else counted.nonzero
        return found, found, found


def _file_size(small: nn.Module, masks: Masks, dense: nn.Module, kept: Any, example: Any) -> int:
    with tempfile.TemporaryDirectory(prefix="secateur-") as folder:
        path = Path(folder, "net.safetensors")
        save(small, path, masks, dense=dense, kept=kept, example_inputs=example)
        return path.stat().st_size
