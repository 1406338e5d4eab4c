"""Taylor in gates: what is shut first changes the loss least, to first order."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs, of_channels


@of_channels
@needs("gate-gradients")
def taylor_gate(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The squared first-order change of the loss when a gate on each unit's output is shut.

    `(sum over s in S of g_s w_s)^2` (Molchanov, Mallya, Tyree, Frosio and Kautz 2019, "Importance
    Estimation for Neural Network Pruning", arXiv 1906.10771, section 3.1: a gate of 1 on what the
    unit's weights compute), averaged over the batches. Where the weights of a unit work against
    each other, `taylor` counts both and this their difference.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`; only its first length is used.
        statistics: Its `gate-gradients` hold one number a unit.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: No gradients were gathered for this weight, or not one a unit.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"gate-gradients": {"w": torch.tensor([4.0, 1.0])}})
        >>> taylor_gate("w", torch.zeros(2, 9), known).tolist()
        [4.0, 1.0]
    """
    return statistics.of_each("gate-gradients", parameter, rows)
