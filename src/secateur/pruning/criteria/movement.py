"""Movement: weights that the gradient moves towards zero go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs


@needs("gradients")
def movement(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """Minus the weight times its mean gradient, summed over each unit.

    Movement pruning (Sanh, Wolf and Rush 2020, arXiv 2005.07683, section 3) accumulates
    `S = -sum over t of (dL/dW)_t W_t` while it fine-tunes. This is its first-order form: the same
    sum over the batches of one pass in which the weights stand still. A weight whose gradient
    pushes it away from zero scores high, whatever its size. At the end of training, where the mean
    gradient is next to zero, little is left of it but noise; it is meant for weights that are to be
    adapted to other data.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`.
        statistics: Its `gradients` are of the same shape.

    Returns:
        Shape `[units]`, float64; negative where the weights shrink.

    Raises:
        MaskError: No gradients were gathered for this weight.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"gradients": {"w": torch.tensor([[0.5, -1.0]])}})
        >>> movement("w", torch.tensor([[2.0, 3.0]]), known).tolist()
        [2.0]
    """
    slopes = statistics.of("gradients", parameter).to(rows.device)
    return -(rows.double() * slopes.double()).sum(dim=1)
