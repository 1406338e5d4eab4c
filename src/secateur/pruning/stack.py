"""Stack: the units of one layer, the best on top, of which so and so many stay."""

from __future__ import annotations

import math
from bisect import bisect_right
from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor

from secateur.pruning.allocation import Candidates, beyond, effective, fewest, sizes_of
from secateur.pruning.selection import Ranked, select


class Stack(Protocol):
    """A layer whose units stay from the best one down.

    Attributes:
        total: How many weights all its units hold.
        lowest: How many units stay in any case, by the floor and the limits of the layer.
        highest: How many are left of earlier cuts.
    """

    total: int
    lowest: int
    highest: int

    def weights(self, units: int) -> int:
        """How many weights the best units hold."""

    def within(self, weights: Fraction) -> int:
        """How many of the best units hold no more weights than that."""

    def kept(self, units: int) -> Tensor:
        """Bool `[units]`: the best ones."""


def stack_of(layer: Candidates) -> Stack:
    """The stack of a layer's units.

    Example:
        >>> stack = stack_of(Candidates("fc", torch.tensor([3.0, 1.0, 2.0]), 4))
        >>> stack.total, stack.within(Fraction(9)), stack.kept(2).tolist()
        (12, 2, [True, False, True])
    """
    return _Alike(layer, layer.sizes) if isinstance(layer.sizes, int) else _Units(layer)


class _Alike:
    """Single weights, or units of one size, of which there may be very many: not sorted."""

    def __init__(self, layer: Candidates, size: int) -> None:
        self._layer, self._size = layer, size
        self._count = layer.scores.numel()
        gone = 0 if layer.pruned is None else int(torch.count_nonzero(layer.pruned))
        self.total = size * self._count
        self.highest = self._count - gone
        self.lowest = min(fewest(layer), self.highest)

    def weights(self, units: int) -> int:
        return self._size * units

    def within(self, weights: Fraction) -> int:
        return math.floor(weights / self._size)

    def kept(self, units: int) -> Tensor:
        one = self._layer
        ranked = Ranked([one.scores.detach()], [one.pruned], [fewest(one)])
        return select(ranked, self._count - units)[0][0]


class _Units:
    """Units of any size, of which there are few: sorted."""

    def __init__(self, layer: Candidates) -> None:
        scores, sizes = effective(layer), sizes_of(layer)
        self._best_first = torch.sort(scores, stable=True).indices.flip(0)
        self._held = [0, *torch.cumsum(sizes[self._best_first], 0).tolist()]
        self.total = self._held[-1]
        self.highest = scores.numel() - int(torch.isneginf(scores).sum())
        self.lowest = max(int(beyond(layer).sum()), min(1, self.highest))

    def weights(self, units: int) -> int:
        return int(self._held[units])

    def within(self, weights: Fraction) -> int:
        return bisect_right(self._held, weights) - 1

    def kept(self, units: int) -> Tensor:
        kept = torch.zeros(len(self._best_first), dtype=torch.bool, device=self._best_first.device)
        return kept.index_fill_(0, self._best_first[:units], True)
