"""ERK: the Erdos-Renyi-Kernel densities, by the shapes of the layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import Density, LayerShape


def erk(layers: Sequence[LayerShape], density: Fraction, statistics: Statistics) -> list[Density]:
    """A density in proportion to the sum of the weight's axes divided by their product.

    Of a convolution `(n_in + n_out + w + h) / (n_in n_out w h)`, of a linear layer
    `(n_in + n_out) / (n_in n_out)` (Evci, Gale, Menick, Castro and Elsen 2020, "Rigging the
    lottery", arXiv 1911.11134, section 3; linear layers as in Mocanu et al. 2018, arXiv
    1707.04780). One factor scales all of them to the total; a layer whose density would be above 1
    is dense, and the factor is solved again for the others. So a layer keeps weights in proportion
    to its neurons and not to its weights: large layers lose most. `n_in` is that of one group of a
    grouped convolution.

    From shapes alone, without a network or scores:
    `secateur.pruning.layer_counts.kept_counts({name: shape, ...}, sparsity)`.

    Args:
        layers: Those of the cut.
        density: The share of their weights that stays (unused: the factor is found later).
        statistics: Unused.

    Returns:
        One density a layer.

    Example:
        >>> conv, fc = LayerShape("conv", (4, 2, 3, 3), "conv"), LayerShape("fc", (10, 40))
        >>> [str(one.proportion) for one in erk([conv, fc], Fraction(1, 2), Statistics())]
        ['1/6', '1/8']
    """
    del density, statistics
    return [Density(Fraction(sum(layer.shape), math.prod(layer.shape))) for layer in layers]
