"""Masks of groups: scores of filters or channels become masks of all that they live in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from secateur.pruning.allocation import Candidates
from secateur.pruning.chosen_layers import ChosenLayers, Pool
from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import LayerShape
from secateur.pruning.group_scores import Units, score_groups, scored_slots, spread
from secateur.pruning.groups import Groups
from secateur.pruning.layer_counts import allocate_part
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.normalize import normalized
from secateur.pruning.weights import Weight


def cut_groups(
    model: nn.Module,
    groups: Groups,
    pools: Sequence[Pool],
    part: Part,
    chosen: ChosenLayers,
    statistics: Statistics,
    previous: Masks,
    round_to: int,
    shapes: Mapping[str, LayerShape],
) -> Masks:
    """Score the groups of one part and choose what is kept.

    Args:
        model: The network, which is left as it is.
        groups: Those that may be cut.
        pools: The weights that are ranked at one sparsity each. A group is ranked with the layer
            that computes it first.
        part: Its criterion and ranking.
        chosen: The highest sparsity of each layer, and the share of it that is protected.
        statistics: What the criterion reads beside the weights.
        previous: What was cut before.
        round_to: Every layer keeps a multiple of so many channels.
        shapes: The network's layers by the names of their weights, where an allocation asks.

    Returns:
        Masks of every parameter that computes or scales one of the groups.

    Raises:
        MaskError: A score is not finite.
    """
    weights = _together(pools)
    units = score_groups(model, groups, weights, part, statistics, previous)
    kept, floored = _allocate(groups, pools, units, part, chosen, statistics, round_to, shapes)
    floored += _revive(groups, weights, units, kept)
    return Masks(spread(model, groups.slots, kept), tuple(dict.fromkeys(floored)))


def _allocate(
    groups: Groups,
    pools: Sequence[Pool],
    units: Units,
    part: Part,
    chosen: ChosenLayers,
    statistics: Statistics,
    round_to: int,
    shapes: Mapping[str, LayerShape],
) -> tuple[Tensor, list[str]]:
    """Which groups are kept, bool `[groups]`, and where the floor or a highest sparsity bit."""
    kept = torch.ones(groups.count, dtype=torch.bool)
    floored: list[str] = []
    weights = _together(pools)
    owners = layer_weights(groups, weights)
    members = _members(groups, units)
    widths = _widths(groups)
    for pool in pools:
        own = {
            name: member for name, member in members.items() if owners[name][0].name in pool.weights
        }
        candidates = [
            Candidates(
                name,
                normalized(units.scores[m], part.rescaling, units.pruned[m]),
                units.sizes[m],
                units.pruned[m],
                multiple=_multiple(round_to, widths[m], groups.multiples.get(name, 1)),
                most=min(map(chosen.most, owners[name])),
                protected=chosen.layers.protected,
            )
            for name, m in own.items()
        ]
        layers = [shapes[owners[name][0].name] for name in own] if part.by_layer else []
        allocated = allocate_part(part, candidates, layers, pool.sparsity, statistics, pool.total)
        floored += allocated.floored
        for member, keep in zip(own.values(), allocated.kept, strict=True):
            kept[member] = keep
    return kept, floored


def _together(pools: Sequence[Pool]) -> dict[str, Weight]:
    return {name: weight for pool in pools for name, weight in pool.weights.items()}


def _members(groups: Groups, units: Units) -> dict[str, Tensor]:
    """The groups of each layer, by number.

    A group that holds no weight of the scope costs nothing to keep and is not a candidate.
    """
    found = {
        name: torch.nonzero((groups.layer == number) & (units.sizes > 0)).squeeze(1)
        for number, name in enumerate(groups.layers)
    }
    return {name: member for name, member in found.items() if member.numel()}


def layer_weights(groups: Groups, weights: Mapping[str, Weight]) -> dict[str, list[Weight]]:
    """The weights that compute the groups of each layer; that of the layer itself comes first."""
    found: dict[str, list[Weight]] = {}
    for slot, weight in scored_slots(groups, weights):
        for number in torch.unique(groups.layer[slot.groups[slot.groups >= 0]]).tolist():
            found.setdefault(groups.layers[number], []).append(weight)
    return {
        name: sorted(found[name], key=lambda weight: weight.module != name)
        for name in groups.layers
        if name in found
    }


def _multiple(round_to: int, widths: Tensor, own: int) -> int:
    """How many groups of a layer stay as a multiple: of so many channels, and of its own."""
    return math.lcm(round_to // math.gcd(round_to, *widths.tolist()), own)


def _widths(groups: Groups) -> Tensor:
    """int64 `[groups]`: the channels in each group, of its own layer (a head has many)."""
    widths = torch.zeros(groups.count, dtype=torch.int64)
    seen = set()
    for slot in groups.slots:
        path = slot.parameter.rpartition(".")[0]
        if slot.role == "write" and path in groups.layers and path not in seen:
            seen.add(path)
            index = slot.groups[slot.groups >= 0]
            own = index[groups.layer[index] == groups.layers.index(path)]
            widths += torch.bincount(own, minlength=groups.count)
    return widths.clamp(min=1)


def _revive(groups: Groups, weights: Mapping[str, Weight], units: Units, kept: Tensor) -> list[str]:
    """Keep, in place, the best group of every layer that would be emptied; name those layers.

    The floor of the allocation guards the layer that a group is ranked under. Another one may
    share a few of that layer's groups only, or read a few of them only, and lose them all.
    """
    revived = []
    readers = [slot for slot in groups.slots if slot.role == "read"]
    for slot in (*(slot for slot, _ in scored_slots(groups, weights)), *readers):
        free = slot.groups[slot.groups >= 0]
        free = free[~units.pruned[free] & (units.sizes[free] > 0)]
        if free.numel() and not bool((slot.groups < 0).any() | kept[slot.groups].any()):
            kept[free[units.scores[free].argmax()]] = True
            revived.append(slot.parameter.rpartition(".")[0] or slot.parameter)
    return revived
