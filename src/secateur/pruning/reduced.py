"""Reduced: the scores that several weights give a group become one."""

from __future__ import annotations

import torch
from torch import Tensor

from secateur.pruning.method import Reduce


class Reduced:
    """The scores of all groups of a network, weight by weight.

    What one weight gives a group that has several of its rows (a head of attention) is summed:
    the rows are parts of the group.

    Args:
        reduce: What becomes of the scores that several weights give one group; see `Part.reduce`.
        count: How many groups there are.

    Example:
        >>> scores = Reduced("mean", 2)
        >>> everywhere = torch.ones(2, dtype=torch.bool)
        >>> scores.add(torch.tensor([0, 1]), torch.tensor([1.0, 2.0]), everywhere)
        >>> scores.add(torch.tensor([1]), torch.tensor([4.0]), everywhere)
        >>> scores.values().tolist()
        [1.0, 3.0]
    """

    def __init__(self, reduce: Reduce, count: int) -> None:
        self._reduce = reduce
        self._found = torch.zeros(count, dtype=torch.float64)
        self._times = torch.zeros(count, dtype=torch.int64)
        self._own = torch.zeros(count, dtype=torch.bool)

    def add(self, index: Tensor, scores: Tensor, own: Tensor) -> None:
        """Take what one weight gives the groups.

        Args:
            index: int64 `[rows]`, the group of each.
            scores: float64 `[rows]`.
            own: bool `[groups]`, those that are ranked under the weight's layer.
        """
        given = torch.zeros_like(self._found).index_add_(0, index, scores.to(self._found))
        reached = torch.zeros_like(self._own).index_fill_(0, index, True)
        new = reached & (self._times == 0)
        if self._reduce == "first":
            # A layer that comes before the group's own stands in until that one is met.
            new |= reached & own & ~self._own
            self._found = torch.where(new, given, self._found)
        elif self._reduce == "max":
            self._found = torch.where(
                new, given, torch.where(reached, self._found.maximum(given), self._found)
            )
        else:
            self._found += given
        self._own |= reached & own
        self._times += reached

    def values(self) -> Tensor:
        """float64 `[groups]`: one score each, 0 for a group that no weight computes."""
        return self._found / self._times.clamp(min=1) if self._reduce == "mean" else self._found
