"""Soft targets: how far a net's classes are from those of a teacher."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def soft_loss(scores: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """The Kullback-Leibler divergence of two nets' classes, both softened.

    `T^2 KL(softmax(taught / T) || softmax(scores / T))`, mean over the rows. The square keeps the
    gradient's size when the temperature `T` changes (Hinton et al. 2015, arXiv 1503.02531,
    section 2).

    Args:
        scores: `[rows, classes]`, of the net that learns.
        taught: The same, of the teacher.
        temperature: 1 leaves the shares of the classes as they are; more brings them together.

    Returns:
        A scalar: 0 where both agree, or where there is no row.

    Example:
        >>> import torch
        >>> round(float(soft_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), 2.0)), 4)
        0.1212
    """
    if not len(scores):
        return scores.sum()
    softened = functional.log_softmax(scores / temperature, dim=1)
    target = functional.log_softmax(taught / temperature, dim=1)
    divergence = functional.kl_div(softened, target, reduction="batchmean", log_target=True)
    return divergence * temperature**2
