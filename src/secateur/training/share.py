"""A share: the part of a batch that one of several ranks trains on, and how much it counts.

The batch stays the study's. The ranks' shares are consecutive and differ by one example at most,
and their losses are weighed so that the mean of the ranks' gradients is the gradient of the whole
batch's mean loss, whatever is left over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from secateur.data.data import Batch, count_of
from secateur.errors import DataError
from secateur.tasks.task import Task


@dataclass(frozen=True)
class Share:
    """A rank's part of a batch.

    Attributes:
        batch: Its examples. Where there are more ranks than examples, some get one that counts for
            nothing: every rank takes part in every step.
        fraction: Of the whole batch's loss that is theirs; over all ranks they sum to 1.
        counted: How many of its examples count.
        whole: Examples of the whole batch.
    """

    batch: Batch
    fraction: float
    counted: int
    whole: int


def share_of(batch: Batch, task: Task, rank: int, world: int) -> Share:
    """The part of a batch that belongs to a rank.

    Args:
        batch: The whole one, the same on every rank.
        task: Knows how many terms the mean of a loss has.
        rank: Which of the `world` processes this is.
        world: How many there are.

    Raises:
        DataError: The batch is of a kind whose examples cannot be told apart.

    Example:
        >>> import torch
        >>> batch = torch.arange(5.0), None
        >>> [share_of(batch, Task(), rank, 2).batch[0].tolist() for rank in (0, 1)]
        [[0.0, 1.0], [2.0, 3.0, 4.0]]
        >>> share_of(batch, Task(), 0, 2).fraction
        0.4
    """
    size = count_of(batch)
    if world == 1:
        return Share(batch, 1.0, size, size)
    begin, end = size * rank // world, size * (rank + 1) // world
    rows = slice(begin, end) if end > begin else slice(0, 1)
    part = _rows(batch[0], rows, size), None if batch[1] is None else _rows(batch[1], rows, size)
    if end == begin:
        return Share(part, 0.0, 0, size)
    terms = task.terms(batch)
    return Share(part, task.terms(part) / terms if terms else 0.0, end - begin, size)


def _rows(tree: Any, rows: slice, size: int) -> Any:
    """Some examples of all that a batch holds; what has no axis of examples is shared."""
    if isinstance(tree, Tensor):
        if not tree.dim():
            return tree
        if len(tree) == size:
            return tree[rows]
    elif isinstance(tree, Mapping):
        return {name: _rows(value, rows, size) for name, value in tree.items()}
    elif type(tree) in (tuple, list):
        tensors = [one for one in tree if isinstance(one, Tensor)]
        if tensors or not tree or len(tree) != size:
            return type(tree)(_rows(value, rows, size) for value in tree)
        return tree[rows]  # one entry an example, as of detection
    elif tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise DataError(
        "training on several devices",
        "a batch",
        given=f"with a {type(tree).__name__}"
        + (f" of shape {tuple(tree.shape)}" if isinstance(tree, Tensor) else ""),
        expected=f"tensors whose first axis is the {size} examples, in tuples, lists or mappings",
        remedy="Train on one device, or in a loop of your own with a DistributedSampler.",
    )
