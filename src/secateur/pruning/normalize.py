"""Normalising: scores of layers of different scale made comparable before they are ranked together.

A global ranking of plain norms cuts the layers whose weights are small, whatever they do: a filter
of many inputs has a larger norm than one of few. Each way divides by what is typical of the layer,
so it changes which layer gives, and never the order inside one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

Normalize = Literal["none", "mean", "l2", "standard", "max"]


def total_of(numbers: Tensor) -> Tensor:
    """Their sum, one after the other: the same bits on every device, with any number of threads."""
    return torch.cumsum(numbers.cpu(), 0)[-1].to(numbers.device)


def _mean(numbers: Tensor) -> Tensor:
    return total_of(numbers) / numbers.numel()


def _standard(scores: Tensor, kept: Tensor) -> Tensor:
    mean = _mean(kept)
    return (scores - mean) / _size(_mean((kept - mean).square()).sqrt())


def _size(number: Tensor) -> Tensor:
    """What to divide by: of a layer whose scores are all zero, or all alike, nothing."""
    return torch.where(number > 0, number, torch.ones_like(number))


_WAYS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "mean": lambda scores, kept: scores / _size(_mean(kept.abs())),
        "l2": lambda scores, kept: scores / _size(total_of(kept.square()).sqrt()),
        "max": lambda scores, kept: scores / _size(kept.abs().max()),
        "standard": _standard,
    }
)


def normalized(scores: Tensor, how: str, pruned: Tensor | None = None) -> Tensor:
    """The scores of one layer, divided by what is typical of it.

    Args:
        scores: Shape `[units]`.
        how: `none`; `mean`, by the mean of the absolute scores (Torch-Pruning's default for its
            global rankings, Fang et al. 2023, arXiv 2301.12900); `l2`, by their Euclidean norm
            (Molchanov et al. 2017, arXiv 1611.06440, equation 8); `max`, by the largest;
            `standard`, less the mean and by the standard deviation.
        pruned: bool `[units]`: pruned before, which say nothing of the layer as it is.

    Returns:
        float64 `[units]`.

    Example:
        >>> normalized(torch.tensor([1.0, 3.0]), "mean").tolist()
        [0.5, 1.5]
        >>> normalized(torch.tensor([1.0, 3.0]), "standard").tolist()
        [-1.0, 1.0]
    """
    wide = scores.detach().double()
    kept = wide if pruned is None else wide[~pruned]
    if how == "none" or not kept.numel():
        return wide
    return _WAYS[how](wide, kept)
