"""Column choice: which weights go of the next columns of a layer, for those to make up for behind.

Single weights go by the share of each block of columns: so many that the number so far is the
nearest whole one to an even share of those that had not gone before; within a block the lowest
scores, of all its outputs together, of equal ones the earlier weight. Of `n:m` the lowest of each
group go, output by output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from secateur.pruning.n_of_m import lowest


class Choice(Protocol):
    """Chooses from a layer's columns, step by step.

    Attributes:
        steps: How many columns are chosen from at once.
        cuts: Whether more goes than was gone before.
    """

    steps: list[int]
    cuts: bool

    def of(self, scores: Tensor, start: int) -> Tensor:
        """What goes of some columns.

        Args:
            scores: Of the columns of one step, `[groups, outputs, columns]`.
            start: The number of the first.

        Returns:
            Bool of the same shape, with what was gone before.
        """


class FromShares:
    """Single weights, so many of the layer, block by block.

    Args:
        gone: What was cut before, bool `[groups, outputs, columns]`.
        count: How many go, with those.
        block: How many columns are chosen from at once.
    """

    def __init__(self, gone: Tensor, count: int, block: int) -> None:
        blocks = torch.split(gone, block, dim=2)
        self.steps = [one.shape[2] for one in blocks]
        self._gone = gone
        left = count - int(gone.count_nonzero())
        self.cuts = left > 0
        shares = even_shares(left, [one.numel() - int(one.count_nonzero()) for one in blocks])
        starts = range(0, gone.shape[2], block)
        self._shares = dict(zip(starts, shares, strict=True))

    def of(self, scores: Tensor, start: int) -> Tensor:
        """As `Choice`."""
        gone = self._gone[..., start : start + scores.shape[2]].reshape(-1)
        order = scores.reshape(-1).masked_fill(gone, -torch.inf).argsort(stable=True)
        wanted = self._shares[start] + int(gone.count_nonzero())
        return torch.zeros_like(gone).index_fill_(0, order[:wanted], True).reshape(scores.shape)


class FromGroups:
    """`n:m`: so many of each group of columns in a row.

    Args:
        gone: What was cut before, bool `[groups, outputs, columns]`.
        each: How many go of each `size`, with those; of fewer columns at the end of a run so many
            less as there are too few.
        size: How many columns a group has: `m`.
        runs: How many columns lie in a row; no group reaches from one run into the next.

    Example:
        >>> FromGroups(torch.zeros(1, 1, 12, dtype=torch.bool), 2, 4, [6, 6]).steps
        [4, 2, 4, 2]
    """

    def __init__(self, gone: Tensor, each: int, size: int, runs: Sequence[int]) -> None:
        self._gone, self._each, self._size = gone, each, size
        self.steps = [min(size, run - start) for run in runs for start in range(0, run, size)]
        self.cuts = any(self._of_a_group(step) for step in set(self.steps))

    def of(self, scores: Tensor, start: int) -> Tensor:
        """As `Choice`."""
        count = scores.shape[2]
        gone = self._gone[..., start : start + count]
        return lowest(scores.masked_fill(gone, -torch.inf), self._of_a_group(count)) | gone

    def _of_a_group(self, count: int) -> int:
        return max(0, self._each - (self._size - count))


def even_shares(count: int, sizes: Sequence[int]) -> list[int]:
    """Divide a count among blocks by their sizes, so that it comes out exactly.

    After each block the number so far is the whole one nearest to its share of the sizes so far; of
    two equally near, the smaller.

    Args:
        count: At most the sum of the sizes.
        sizes: Of the blocks.

    Example:
        >>> even_shares(5, [3, 3, 3]), even_shares(3, [2, 4])
        ([2, 1, 2], [1, 2])
    """
    total, so_far, given, shares = sum(sizes), 0, 0, []
    for size in sizes:
        so_far += size
        due = (2 * count * so_far + total - 1) // (2 * total) if total else 0
        shares.append(due - given)
        given = due
    return shares
