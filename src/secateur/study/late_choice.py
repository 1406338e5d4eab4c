"""Late choice: what goes of a net is chosen while it trains, by what was known of it before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from secateur.pruning.criterion import Statistics
from secateur.pruning.groups import Groups
from secateur.pruning.layers import Layers, Sparsity
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.select import cut


def late_choice(
    parts: Sequence[Part],
    asked: Sequence[Sparsity],
    *,
    groups_of: Callable[[Part], Groups],
    statistics: Statistics,
    previous: Masks | None,
    layers: Layers,
) -> Callable[[nn.Module], Masks]:
    """A cut that is made later, of weights that have trained.

    Args:
        parts: What is cut.
        asked: The sparsity of each part, or of all.
        groups_of: Gives the units of a part that cuts channels; asked now.
        statistics: What the criteria read beside the weights.
        previous: What is cut already.
        layers: The study's choice of layers.

    Returns:
        From a net to its masks, which it does not apply.
    """
    known = {(one.granularity, one.scope): groups_of(one) for one in parts if one.cuts_channels}
    return lambda net: cut(
        net,
        parts,
        asked,
        groups_of=lambda part: known[part.granularity, part.scope],
        statistics=statistics,
        previous=previous,
        layers=layers,
    )
