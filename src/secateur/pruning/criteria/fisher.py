"""Fisher: what the examples' own losses depend on least goes first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs


@needs("example-gradients")
def fisher(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """Half the squared weight times the diagonal of the empirical Fisher, summed over each unit.

    `1/(2N) w^2 sum over n of g_n^2`, with the gradient `g_n` of each example's own loss (Theis,
    Korshunova, Tejani and Huszár 2018, "Faster gaze prediction with dense networks and Fisher
    pruning", arXiv 1801.05787, section 2.1, of single weights): `obd` with the Fisher matrix
    for the Hessian, so that no score is negative. `taylor` squares the gradient of a batch's mean
    loss, in which the examples' gradients cancel.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`.
        statistics: Its `example-gradients` are of the same shape.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: No gradients were gathered for this weight.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"example-gradients": {"w": torch.tensor([[4.0, 1.0]])}})
        >>> fisher("w", torch.tensor([[1.0, 2.0]]), known).tolist()
        [4.0]
    """
    squares = statistics.of("example-gradients", parameter).to(rows.device)
    return (rows.double().square() * squares.double()).sum(dim=1) / 2
