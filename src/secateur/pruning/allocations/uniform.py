"""Uniform: every layer keeps the same share of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import Density, LayerShape


def uniform(
    layers: Sequence[LayerShape], density: Fraction, statistics: Statistics
) -> list[Density]:
    """The same density for every layer.

    "Uniform" of Zhu and Gupta 2017 (arXiv 1710.01878) and of Evci et al. 2020 (arXiv 1911.11134,
    section 3). The ranking `layer` rounds in each layer by itself, so its total may be off by a
    few weights; of this one it is exact.

    Args:
        layers: Those of the cut.
        density: The share of their weights that stays (unused).
        statistics: Unused.

    Returns:
        One density a layer.

    Example:
        >>> uniform([LayerShape("fc", (2, 3))], Fraction(1, 2), Statistics())
        [Density(proportion=1, least=0)]
    """
    del density, statistics
    return [Density(1) for _ in layers]
