"""Change: weights that training has hardly moved go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import INITIAL, Statistics, needs


@needs(INITIAL)
def change(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """How far training has moved each weight, summed over each unit.

    `|w - w_0|`, with the weights `w_0` that the network was initialised with: the mask criterion
    "movement" of Zhou, Lan, Liu and Yosinski 2019, "Deconstructing lottery tickets", arXiv
    1905.01067, figure 3.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`.
        statistics: Its `initial-weights` are of the same shape.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: The first weights of this layer are not known.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"initial-weights": {"w": torch.tensor([[1.0, 3.0]])}})
        >>> change("w", torch.tensor([[2.0, -1.0]]), known).tolist()
        [5.0]
    """
    first = statistics.of(INITIAL, parameter).to(rows.device)
    return (rows.double() - first.double()).abs().sum(dim=1)
