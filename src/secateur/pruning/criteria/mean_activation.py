"""Mean activation: channels that are hardly ever active go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs, of_channels


@of_channels
@needs("output-means")
def mean_activation(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The mean absolute output of each unit, behind its norm and activation.

    Behind a ReLU it is the mean activation (Molchanov, Tyree, Karras, Aila and Kautz 2017, "Pruning
    convolutional neural networks for resource efficient inference", arXiv 1611.06440, section 2.2,
    "Activation"). Where no activation follows directly (a sum comes first), it is that of what the
    layer and its norm give.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`; only its first length is used.
        statistics: Its `output-means` hold one number a unit.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: The outputs of this layer were not seen, or it has not one for each unit.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"output-means": {"w": torch.tensor([0.5, 1.25])}})
        >>> mean_activation("w", torch.zeros(2, 9), known).tolist()
        [0.5, 1.25]
    """
    return statistics.of_each("output-means", parameter, rows)
