"""Masks of branches: a residual branch is kept whole, or goes with all its parameters.

The rules:

- All branches that may go are ranked together, lowest score first; of equal scores the earlier one
  goes first. What was pruned before goes before all others.
- Branches go in that order as long as their weights are no more than `sparsity x weights of all
  branches that may go`, computed exactly: branches are large, and no more goes than was asked.
- The best branch stays, whatever is asked; so do the best ones of the protected share, rounded up.
- A branch with a weight outside of the scope, or with a highest sparsity, stays: all would go.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from secateur.pruning.allocation import (
    Candidates,
    beyond,
    check_finite,
    effective,
    share_of,
    sizes_of,
)
from secateur.pruning.chosen_layers import ChosenLayers, Pool
from secateur.pruning.criterion import Statistics
from secateur.pruning.group_scores import score_groups, scored_slots, spread
from secateur.pruning.groups import Groups
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.pinned import Pinned, Report
from secateur.pruning.request import checked_sparsity
from secateur.pruning.weights import Weight

_BRANCH = "branch"
_ALL = "the branches"


def cut_branches(
    model: nn.Module,
    groups: Groups,
    pools: Sequence[Pool],
    every: Collection[str],
    part: Part,
    chosen: ChosenLayers,
    statistics: Statistics,
    previous: Masks,
) -> Masks:
    """Score the branches of one part and choose what is kept.

    Args:
        model: The network, which is left as it is.
        groups: The branches that may go.
        pools: The weights that they are made of, by the sparsity that is asked of them. A branch
            is ranked with its first weight.
        every: Names of the parameters that the network's prunable weights are made of.
        part: The criterion, and how what it gives the rows of all weights is reduced.
        chosen: The highest sparsity of each layer, and the share of the branches that is protected.
        statistics: What the criterion reads beside the weights.
        previous: What was cut before.

    Returns:
        Masks of every parameter of a branch that may go. Their report names those that stay for
        their weights, and its note says how much went.

    Raises:
        MaskError: A score is not finite, or the sparsity out of range.
    """
    weights = {name: one for pool in pools for name, one in pool.weights.items()}
    owners = _owners(groups, weights)
    pins = _held(groups, owners, every, chosen)
    units = score_groups(model, groups, weights, part, statistics, previous)
    stays = torch.tensor([bool(pins[number]) for number in range(groups.count)])
    kept = torch.ones(groups.count, dtype=torch.bool)
    floored, said = [], []
    for pool in pools:
        own = [
            number
            for number, one in enumerate(owners)
            if one and one[0].name in pool.weights and units.sizes[number] and not stays[number]
        ]
        if not own:
            continue
        member = torch.tensor(own)
        ranked = Candidates(
            _ALL,
            units.scores[member],
            units.sizes[member],
            units.pruned[member],
            protected=chosen.layers.protected,
        )
        kept[member], bitten = keep_whole(ranked, pool.sparsity, pool.total)
        floored += [_ALL] if bitten else []
        gone = ~kept[member]
        said.append(
            f"{int(gone.sum())} of {len(own)} branches go, {int(units.sizes[member][gone].sum())} "
            f"of {pool.total} weights; a sparsity of {pool.sparsity:g} asks for no more than "
            f"{math.floor(share_of(pool.sparsity) * pool.total)}"
        )
    slots = [
        replace(slot, groups=slot.groups.masked_fill(stays[slot.groups.clamp(min=0)], -1))
        for slot in groups.slots
    ]
    masks = Masks(spread(model, slots, kept), tuple(dict.fromkeys(floored)))
    reasons = zip(groups.layers, pins, strict=True)
    masks.report = Report(
        [Pinned(why, layer, 1, _BRANCH) for layer, why in reasons if why], "\n".join(said)
    )
    return masks


def keep_whole(units: Candidates, sparsity: float, total: int) -> tuple[Tensor, bool]:
    """Which units are kept of such as are large: those that go weigh no more than is asked for.

    Args:
        units: The units.
        sparsity: The share of the weights that may go, in [0, 1).
        total: The weights that it is a share of.

    Returns:
        bool `[units]`, and whether one stays that the ranking would have cut.

    Raises:
        MaskError: The sparsity is out of range, or a score is not finite.

    Example:
        >>> units = Candidates("", torch.tensor([3.0, 1.0, 2.0]), torch.tensor([10, 20, 30]))
        >>> [keep_whole(units, share, 60)[0].tolist() for share in (0.3, 0.5, 0.9)]
        [[True, True, True], [True, False, True], [True, False, False]]
    """
    most = math.floor(share_of(checked_sparsity(sparsity)) * total)
    check_finite(units.layer, units.scores)
    scores, sizes = effective(units), sizes_of(units)
    order = torch.sort(scores, stable=True).indices
    protected = beyond(units)
    protected[order[-1]] |= not bool(torch.isneginf(scores[order[-1]]))
    wanted = order[: _within(sizes[order], most, scores[order])]
    free = order[~protected[order]]
    kept = torch.ones_like(protected)
    kept[free[: _within(sizes[free], most, scores[free])]] = False
    return kept, bool(protected[wanted].any())


def _within(sizes: Tensor, most: int, scores: Tensor) -> int:
    """How many of the first units hold no more than so many weights; all that went before do."""
    already = int(torch.isneginf(scores).sum())
    return max(already, int((torch.cumsum(sizes, 0) <= most).sum()))


def _owners(groups: Groups, weights: Mapping[str, Weight]) -> list[list[Weight]]:
    """The weights of each branch, in the order of its places."""
    found: list[list[Weight]] = [[] for _ in range(groups.count)]
    for slot, weight in scored_slots(groups, weights):
        for number in torch.unique(slot.groups[slot.groups >= 0]).tolist():
            found[number].append(weight)
    return found


def _held(
    groups: Groups,
    owners: Sequence[Sequence[Weight]],
    every: Collection[str],
    chosen: ChosenLayers,
) -> list[str]:
    """Why each branch stays for what its weights are; empty where it may go."""
    held = [""] * groups.count
    for number, own in enumerate(owners):
        for weight in own:
            if chosen.most(weight) < 1:
                held[number] = f"a max_sparsity of {weight.name}, of which all would go"
    known = {name for own in owners for weight in own for name in weight.ingredients}
    for slot in groups.slots:
        free = slot.groups[slot.groups >= 0]
        if free.numel() and slot.parameter in every and slot.parameter not in known:
            held[int(free[0])] = f"{slot.parameter} is outside of the scope"
    return held
