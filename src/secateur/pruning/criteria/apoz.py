"""APoZ: channels whose activation is mostly zero go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs, of_channels


@of_channels
@needs("positive-outputs")
def apoz(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The share of each unit's outputs that are above zero, behind its norm and activation.

    One minus the average percentage of zeros (Hu, Peng, Tai and Tang 2016, "Network trimming",
    arXiv 1607.03250, equation 1), over all examples and places, so that higher is kept. Behind a
    ReLU what is not above zero is zero; of another activation, or none, it is counted all the
    same.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`; only its first length is used.
        statistics: Its `positive-outputs` hold one number a unit.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: The outputs of this layer were not seen, or it has not one for each unit.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"positive-outputs": {"w": torch.tensor([0.5, 0.25])}})
        >>> apoz("w", torch.zeros(2, 9), known).tolist()
        [0.5, 0.25]
    """
    return statistics.of_each("positive-outputs", parameter, rows)
