"""Wanda: small weights on small inputs go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs


@needs("input-norms")
def wanda(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The absolute weight times the norm of its input, summed over each unit.

    `|W_ij| ||X_j||_2` (Sun, Liu, Bair and Kolter 2023, "A simple and effective pruning approach for
    large language models", arXiv 2306.11695, equation 1); single weights are compared within each
    output (ranking `output`). The norm is the root of the mean square, which is `||X_j||_2` up to a
    factor that is the same for all inputs of a layer; in a convolution all places of the kernel
    have that of their input channel.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`.
        statistics: Its `input-norms` are of the same shape.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: The inputs of this layer were not seen: it is no linear layer or convolution,
            or no batch has come by.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"input-norms": {"w": torch.tensor([[2.0, 0.5]])}})
        >>> wanda("w", torch.tensor([[-1.0, 3.0]]), known).tolist()
        [3.5]
    """
    sizes = statistics.of("input-norms", parameter).to(rows.device)
    return (rows.double().abs() * sizes.double()).sum(dim=1)
