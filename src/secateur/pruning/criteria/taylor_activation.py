"""Taylor in activations: channels whose zeroing changes the loss least, example by example."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs, of_channels


@of_channels
@needs("output-slopes")
def taylor_activation(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The mean over examples of the absolute first-order effect of zeroing each unit's outputs.

    `|sum over places of dC/dz z|` (Molchanov, Tyree, Karras, Aila and Kautz 2017, arXiv 1611.06440,
    section 2.2, "Taylor expansion"), behind the norm and the activation. The paper divides by the
    places of a map, and to compare layers by the l2 norm of a layer's scores, as the method of this
    name does (`normalize`). `taylor-gate` squares the effect on a whole batch, in which examples
    may cancel.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`; only its first length is used.
        statistics: Its `output-slopes` hold one number a unit.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: The outputs of this layer were not seen, or it has not one for each unit.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"output-slopes": {"w": torch.tensor([0.5, 1.25])}})
        >>> taylor_activation("w", torch.zeros(2, 9), known).tolist()
        [0.5, 1.25]
    """
    return statistics.of_each("output-slopes", parameter, rows)
