"""Together: no rule of layers; the units of all of them are ranked as one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from secateur.errors import MaskError
from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import Density, LayerShape


def together(
    layers: Sequence[LayerShape], density: Fraction, statistics: Statistics
) -> list[Density]:
    """None: what each layer keeps comes of a ranking of all units together.

    The allocation `global`. Scores decide it, so nothing can be said of layers alone.

    Args:
        layers: Those of the cut.
        density: The share of their weights that stays.
        statistics: Unused.

    Raises:
        MaskError: Always.

    Example:
        >>> together([LayerShape("fc", (2, 3))], Fraction(1, 2), Statistics())
        Traceback (most recent call last):
        ...
        secateur.errors.MaskError: allocating: the allocation 'global' is asked of the shapes of \
1 layers, expected scores: it ranks the units of all layers together. Ask 'uniform' or 'erk', \
which go by shapes, or prune with scores.
    """
    del density, statistics
    raise MaskError(
        "allocating",
        "the allocation 'global'",
        given=f"asked of the shapes of {len(layers)} layers",
        expected="scores: it ranks the units of all layers together",
        remedy="Ask 'uniform' or 'erk', which go by shapes, or prune with scores.",
    )
