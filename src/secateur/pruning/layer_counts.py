"""Layer counts: an allocation decides how many units each layer keeps; scores decide which.

The rules, the same for every allocation:

- The total is that of a global cut of the same level: the number of weights cut, or of units where
  all have one size, is the nearest to what is asked for, of two equally near the smaller.
- Each layer's share is its proportion times one common factor, at least what the floor, the
  protected share and the highest sparsity hold, at most what earlier cuts have left. What a layer
  that is full cannot take the others take, in their proportions. This is solved exactly.
- Shares become whole units by largest remainders: every layer keeps the units that fit into its
  share, and one more where the remainder is largest (of equal ones the earlier layer's), as long
  as that brings the total no farther from what is wanted. Single weights meet it exactly.
- Within a layer the best units stay; of equal scores the later ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import torch

from secateur.errors import MaskError
from secateur.pruning.allocation import (
    Allocation,
    Candidates,
    allocate,
    check_finite,
    in_multiples,
    nearest_count,
    share_of,
    weights_to_cut,
)
from secateur.pruning.apportionment import quotas
from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import LayerShape, checked_densities
from secateur.pruning.method import Part
from secateur.pruning.request import checked_sparsity
from secateur.pruning.stack import Stack, stack_of
from secateur.registry import ALLOCATIONS


def allocate_part(
    part: Part,
    layers: Sequence[Candidates],
    shapes: Sequence[LayerShape],
    sparsity: float,
    statistics: Statistics,
    total: int | None = None,
) -> Allocation:
    """Choose the units of one part of a method that are kept, as its ranking or allocation says.

    Args:
        part: The part.
        layers: The units, layer by layer.
        shapes: The layers, in the same order; only an allocation asks for them.
        sparsity: Share of the weights to cut, in [0, 1).
        statistics: What is known beside the weights.
        total: The weights that the sparsity is a share of, where the candidates hold fewer.

    Raises:
        MaskError: The sparsity is out of range, a score is not finite, or the allocation's own
            rule leaves more than the sparsity asks for.
    """
    if not part.by_layer:
        return allocate(layers, sparsity, part.ranked, total)
    return allocate_by(part.allocation, layers, shapes, sparsity, statistics, total)


def cuts_by_layer(
    part: Part,
    layers: Sequence[Candidates],
    shapes: Sequence[LayerShape],
    sparsity: float,
    statistics: Statistics,
) -> list[tuple[int, bool]]:
    """How many single weights go of each layer of a part that is not ranked globally.

    Args:
        part: The part.
        layers: The weights; nothing is read of their scores but how many there are.
        shapes: The layers, in the same order; only an allocation asks for them.
        sparsity: Share of them to cut, in [0, 1).
        statistics: What is known beside the weights.

    Returns:
        For each layer the number, with those that are gone already, and whether a limit of the
        layer makes it smaller.

    Raises:
        MaskError: As `allocate_part`.
    """
    if not part.by_layer:
        return [weights_to_cut(layer, sparsity) for layer in layers]
    counts = _LayerCounts(part.allocation, layers, shapes, sparsity, statistics, None)
    floored = counts.floored()
    return [
        (layer.scores.numel() - kept, layer.layer in floored)
        for layer, kept in zip(layers, counts.units(), strict=True)
    ]


def allocate_by(
    allocation: str,
    layers: Sequence[Candidates],
    shapes: Sequence[LayerShape],
    sparsity: float,
    statistics: Statistics | None = None,
    total: int | None = None,
) -> Allocation:
    """Choose the units to keep by a registered allocation; see `allocate_part`.

    Example:
        >>> import torch
        >>> layers = [Candidates("a", torch.arange(4.0)), Candidates("b", torch.arange(8.0))]
        >>> shapes = [LayerShape("a", (2, 2)), LayerShape("b", (4, 2))]
        >>> [int(kept.sum()) for kept in allocate_by("erk", layers, shapes, 0.5).kept]
        [2, 4]
    """
    for layer in layers:
        check_finite(layer.layer, layer.scores)
    counts = _LayerCounts(allocation, layers, shapes, sparsity, statistics or Statistics(), total)
    kept = tuple(
        in_multiples(layer, stack.kept(count))
        for layer, stack, count in zip(layers, counts.stacks, counts.units(), strict=True)
    )
    return Allocation(kept, counts.floored())


def kept_counts(
    shapes: Mapping[str, Sequence[int]], sparsity: float, allocation: str = "erk"
) -> dict[str, int]:
    """How many single weights each layer keeps, from the shapes of the layers alone.

    Args:
        shapes: Layer -> the shape of its weight, in the order of the network. More than two axes
            are a convolution's.
        sparsity: Share of all the weights to cut, in [0, 1).
        allocation: A name in `registry.ALLOCATIONS` of one that needs no data.

    Raises:
        MaskError: The sparsity is out of range, or the allocation needs more than shapes.

    Example:
        >>> kept_counts({"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}, 0.95)
        {'fc1': 9051, 'fc2': 3340, 'fc3': 919}
    """
    layers = [
        # Scores that take no memory: how many are kept depends on none.
        Candidates(name, torch.zeros(()).expand(math.prod(shape)))
        for name, shape in shapes.items()
    ]
    last = len(shapes) - 1
    described = [
        LayerShape(
            name,
            tuple(shape),
            "conv" if len(shape) > 2 else "linear",
            name,
            first=number == 0,
            last=number == last,
        )
        for number, (name, shape) in enumerate(shapes.items())
    ]
    counts = _LayerCounts(allocation, layers, described, sparsity, Statistics(), None)
    return dict(zip(shapes, counts.units(), strict=True))


class _LayerCounts:
    """How many units each layer keeps, of its stack."""

    def __init__(
        self,
        allocation: str,
        layers: Sequence[Candidates],
        shapes: Sequence[LayerShape],
        sparsity: float,
        statistics: Statistics,
        total: int | None,
    ) -> None:
        share = share_of(checked_sparsity(sparsity))
        self._names = [layer.layer for layer in layers]
        self.stacks = [stack_of(layer) for layer in layers]
        held = sum(stack.total for stack in self.stacks)
        sizes = {layer.sizes if isinstance(layer.sizes, int) else 1 for layer in layers}
        size = sizes.pop() if len(sizes) == 1 else 1
        cut = size * nearest_count(share * (total or held) / size, held // size)
        self._wanted = held - cut
        found = ALLOCATIONS[allocation](shapes, 1 - share, statistics)
        densities = checked_densities(allocation, shapes, found)
        pairs = list(zip(densities, self.stacks, strict=True))
        self._proportions = [proportion * stack.total for (proportion, _), stack in pairs]
        self._own = [_units_of(share, stack) for (_, share), stack in pairs]
        self._least = [
            max(own, stack.lowest) for own, stack in zip(self._own, self.stacks, strict=True)
        ]
        self._check_room(allocation, sparsity)

    def units(self) -> list[int]:
        """One number a layer, by largest remainders."""
        shares = self._shares(self._least)
        counts = [stack.within(share) for stack, share in zip(self.stacks, shares, strict=True)]
        held = [stack.weights(count) for stack, count in zip(self.stacks, counts, strict=True)]
        short = sum(shares, Fraction(0)) - sum(held)
        next_units: list[tuple[Fraction, int, int]] = []
        for number, (stack, count) in enumerate(zip(self.stacks, counts, strict=True)):
            if count < stack.highest:
                size = stack.weights(count + 1) - held[number]
                next_units.append(((held[number] - shares[number]) / size, number, size))
        for _, number, size in sorted(next_units):
            if abs(short - size) <= abs(short):
                counts[number] += 1
                short -= size
        return counts

    def floored(self) -> tuple[str, ...]:
        """The layers that keep more than the allocation would let them, for their own limits."""
        free = self._shares(self._own)
        return tuple(
            name
            for name, stack, share in zip(self._names, self.stacks, free, strict=True)
            if 2 * share + stack.weights(min(1, stack.highest)) < 2 * stack.weights(stack.lowest)
        )

    def _shares(self, fewest: Sequence[int]) -> list[Fraction]:
        """How many weights each layer is to keep, at least those of so many units."""
        return quotas(
            self._wanted,
            self._proportions,
            [stack.weights(units) for stack, units in zip(self.stacks, fewest, strict=True)],
            [stack.weights(stack.highest) for stack in self.stacks],
        )

    def _check_room(self, allocation: str, sparsity: float) -> None:
        """Refuse a level at which the allocation's own rule leaves more than there may be."""
        pairs = list(zip(self.stacks, self._own, strict=True))
        floors = [stack.weights(min(1, stack.highest)) for stack in self.stacks]
        spared = [stack.weights(units) for stack, units in pairs]
        own = sum(map(max, spared, floors))
        if own <= max(self._wanted, sum(floors)):
            return
        names = [
            name for name, many, one in zip(self._names, spared, floors, strict=True) if many > one
        ]
        raise MaskError(
            "allocating",
            f"the allocation {allocation!r}",
            given=f"asked for a sparsity of {sparsity:g}, which leaves "
            f"{self._wanted} weights, fewer than the {own} that it keeps in any case "
            f"({', '.join(names[:3])})",
            expected="a level that leaves as many",
            remedy="Lower the sparsity, or choose 'uniform' or 'erk', which spare no layer.",
        )


def _units_of(share: Fraction, stack: Stack) -> int:
    """How many of a layer's best units hold a share of its weights, or all that are left."""
    wanted = share * stack.total
    units = stack.within(wanted)
    if stack.weights(units) < wanted:
        units += 1
    return min(units, stack.highest)
