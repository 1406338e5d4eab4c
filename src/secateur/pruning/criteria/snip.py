"""SNIP: connections that the loss hardly depends on go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs


@needs("gradients")
def snip(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """How much the loss depends on each connection, summed over each unit.

    `|dL/dc| = |w dL/dw|`, where `c` is a gate of 1 on the weight (Lee, Ajanthan and Torr 2019,
    "SNIP: single-shot network pruning based on connection sensitivity", arXiv 1810.02340,
    section 4.1), of the mean loss over the batches. The paper divides by the sum over all
    weights, which changes no ranking. It is meant for a network as it was initialised.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`.
        statistics: Its `gradients` are of the same shape.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: No gradients were gathered for this weight.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"gradients": {"w": torch.tensor([[0.5, -1.0]])}})
        >>> snip("w", torch.tensor([[2.0, 3.0]]), known).tolist()
        [4.0]
    """
    slopes = statistics.of("gradients", parameter).to(rows.device)
    return (rows.double() * slopes.double()).abs().sum(dim=1)
