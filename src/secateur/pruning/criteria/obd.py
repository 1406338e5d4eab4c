"""OBD: what raises the loss least, to second order, goes first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs


@needs("hessian-diagonal")
def obd(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """Half the squared weight times the second derivative of the loss, summed over each unit.

    `h_kk u_k^2 / 2` (LeCun, Denker and Solla 1990, "Optimal brain damage", the recipe's step 4): at
    a minimum of the loss, where weights do not interact, this is what zeroing costs. The diagonal
    of the Hessian is Hutchinson's estimate. Where the loss curves downwards, which it does before
    the minimum, a score is negative, and goes first.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`.
        statistics: Its `hessian-diagonal` is of the same shape.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: No curvature was gathered for this weight.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"hessian-diagonal": {"w": torch.tensor([[4.0, 1.0]])}})
        >>> obd("w", torch.tensor([[1.0, 2.0]]), known).tolist()
        [4.0]
    """
    curvature = statistics.of("hessian-diagonal", parameter).to(rows.device)
    return (rows.double().square() * curvature.double()).sum(dim=1) / 2
