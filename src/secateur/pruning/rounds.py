"""Rounds: a level reached in several cuts, each scored on the net that the one before left."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from torch import nn

from secateur.pruning.layers import Sparsity
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part

Cut = Callable[[nn.Module, Sequence[Sparsity], Masks | None], Masks]
"""From a net, its sparsities and the masks that it has to new masks; the net is left alone."""


def rounds_of(parts: Sequence[Part]) -> int:
    """In how many cuts a level of a method is reached: its option `rounds`, or one.

    Example:
        >>> rounds_of([Part("synflow", "weight", "all", "global", {"rounds": 100})])
        100
    """
    return max((int(part.options.get("rounds", 1)) for part in parts), default=1)


def cut_in_rounds(
    model: nn.Module, level: Sequence[Sparsity], rounds: int, previous: Masks | None, cut: Cut
) -> Masks:
    """Reach a level in several cuts, without training in between.

    After round `k` of `n` the share `(1 - sparsity)^(k/n)` is left: the exponential schedule of
    Tanaka et al. 2020, arXiv 2006.05467, algorithm 1.

    Args:
        model: The network, which is left as it is.
        level: The sparsities of the last round.
        rounds: How many there are.
        previous: The masks that the first round starts from.
        cut: Scores and cuts.

    Returns:
        The masks of the last round.
    """
    if rounds == 1:
        return cut(model, level, previous)
    net, masks = copy.deepcopy(model), previous
    for number in range(1, rounds):
        masks = cut(net, _part_of(level, number / rounds), masks)
        masks.apply(net)
    return cut(net, level, masks)


def _part_of(level: Sequence[Sparsity], way: float) -> list[Sparsity]:
    return [
        tuple((pattern, 1 - (1 - share) ** way) for pattern, share in one)
        if isinstance(one, tuple)
        else 1 - (1 - one) ** way
        for one in level
    ]
