"""HRank: channels whose feature maps have a low rank go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs, of_channels


@of_channels
@needs("output-ranks")
def hrank(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The mean rank of each unit's feature maps over some examples.

    `sum over images of Rank(o(g))` (Lin, Ji, Wang, Zhang, Zhang, Tian and Shao 2020, "HRank: filter
    pruning using high-rank feature map", arXiv 2002.10179, section 3), behind the norm and the
    activation, of the first 500 examples. The rank is that of the map as a matrix, by singular
    values above the rounding of float64. Maps of one place have rank 1 or 0, so it tells nothing at
    the end of a net that pools everything.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`; only its first length is used.
        statistics: Its `output-ranks` hold one number a unit.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: The outputs of this layer were not seen, or it has not one for each unit.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"output-ranks": {"w": torch.tensor([2.0, 1.0])}})
        >>> hrank("w", torch.zeros(2, 9), known).tolist()
        [2.0, 1.0]
    """
    return statistics.of_each("output-ranks", parameter, rows)
