"""A validation split, taken from the training split class by class."""

from __future__ import annotations

import torch
from torch import Tensor

from secateur.data.split import Split
from secateur.errors import DataError


def hold_out(split: Split, size: int, *, seed: int = 0, name: str = "data") -> tuple[Split, Split]:
    """Split off `size` images, with the classes in the same proportions as in the whole.

    Which ones is drawn from the seed; both parts keep their images in the order they had. Shares
    of an image are settled by largest remainder, ties in favour of the smaller label.

    Args:
        split: What to divide.
        size: How many images to hold out.
        seed: Another seed holds out other images.
        name: The data set, for messages.

    Returns:
        What remains, and what was held out.

    Raises:
        DataError: Nothing would be held out, or nothing would remain.

    Example:
        >>> split = Split(torch.zeros(8, 1, 2, 2, dtype=torch.uint8), torch.arange(8) % 2)
        >>> rest, held = hold_out(split, 4)
        >>> rest.labels.bincount().tolist(), held.labels.bincount().tolist()
        ([2, 2], [2, 2])
    """
    if not 0 < size < len(split):
        raise DataError(
            f"holding out images of {name}",
            "the number to hold out",
            given=f"{size} of {len(split)}",
            expected=f"between 1 and {len(split) - 1}",
            remedy="Choose another size, so that both splits have images.",
        )
    _, classes, counts = torch.unique(split.labels, return_inverse=True, return_counts=True)
    shuffled = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    by_class = shuffled[torch.argsort(classes[shuffled], stable=True)]
    place = torch.arange(len(split)) - (counts.cumsum(0) - counts)[classes[by_class]]
    held = torch.zeros(len(split), dtype=torch.bool)
    held[by_class] = place < _quotas(counts, size)[classes[by_class]]
    return (
        Split(split.images[~held], split.labels[~held]),
        Split(split.images[held], split.labels[held]),
    )


def draw(split: Split, count: int | None, *, seed: int = 0, name: str = "data") -> Split:
    """So many images of a split, with the classes in the same proportions; all, if None.

    Args:
        split: What to draw from.
        count: How many.
        seed: Another seed draws others.
        name: The data set, for messages.

    Raises:
        DataError: There are not so many, or none is asked for.

    Example:
        >>> split = Split(torch.zeros(8, 1, 2, 2, dtype=torch.uint8), torch.arange(8) % 2)
        >>> draw(split, 4).labels.bincount().tolist()
        [2, 2]
    """
    if count is None or count == len(split):
        return split
    if type(count) is not int or not 0 < count < len(split):
        raise DataError(
            f"choosing training images of {name}",
            "their number",
            given=f"{count!r:.60}",
            expected=f"a whole number from 1 to {len(split):,}",
            remedy="Ask for fewer, or leave it out for all that are not held out.",
        )
    return hold_out(split, count, seed=seed, name=name)[1]


def _quotas(counts: Tensor, size: int) -> Tensor:
    """Share `size` out in proportion to `counts`, in whole numbers that add up to it."""
    shares = counts * size
    total = counts.sum()
    quotas = shares // total
    rest = size - int(quotas.sum())
    quotas[torch.argsort(shares % total, descending=True, stable=True)[:rest]] += 1
    return quotas
