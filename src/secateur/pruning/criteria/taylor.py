"""Taylor: what is zeroed first changes the loss least, to first order."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs


@needs("squared-gradients")
def taylor(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The squared first-order change of the loss, summed over each unit's weights.

    `sum over s in S of (g_s w_s)^2` (Molchanov, Mallya, Tyree, Frosio and Kautz 2019,
    "Importance Estimation for Neural Network Pruning", arXiv 1906.10771, equation 8), averaged
    over the batches: the weights are the same in all of them, so the mean of the squared
    gradients is enough.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`.
        statistics: Its `squared-gradients` are of the same shape.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: No gradients were gathered for this weight.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"squared-gradients": {"w": torch.tensor([[4.0, 1.0]])}})
        >>> taylor("w", torch.tensor([[1.0, 3.0]]), known).tolist()
        [13.0]
    """
    slopes = statistics.of("squared-gradients", parameter).to(rows.device)
    return (rows.double().square() * slopes.double()).sum(dim=1)
