"""Uniform+: every layer keeps the same share, but for the first and the last."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import Density, LayerShape

LEAST_OF_THE_LAST = Fraction(1, 5)


def uniform_plus(
    layers: Sequence[LayerShape], density: Fraction, statistics: Statistics
) -> list[Density]:
    """The same density for every layer; a first convolution stays whole, a last fifth stays.

    As Gale, Elsen and Hooker prune ResNet-50 (2019, arXiv 1902.09574): the first convolution is
    left dense and the last linear layer loses at most 80 % (in the words of Lee et al. 2021, arXiv
    2010.07611, who call it uniform+). First and last are
    those of the network, in the order of its modules; where they take no part, or the first layer
    is linear and the last a convolution, nothing is spared. What these keep the others give.

    Args:
        layers: Those of the cut.
        density: The share of their weights that stays (unused).
        statistics: Unused.

    Returns:
        One density a layer.

    Example:
        >>> first = LayerShape("conv", (8, 3, 3, 3), "conv", first=True)
        >>> last = LayerShape("fc", (10, 8), last=True)
        >>> [str(one.least) for one in uniform_plus([first, last], Fraction(1, 2), Statistics())]
        ['1', '1/5']
    """
    del density, statistics
    return [Density(1, _least(layer)) for layer in layers]


def _least(layer: LayerShape) -> Fraction:
    if layer.first and layer.kind == "conv":
        return Fraction(1)
    return LEAST_OF_THE_LAST if layer.last and layer.kind == "linear" else Fraction(0)
