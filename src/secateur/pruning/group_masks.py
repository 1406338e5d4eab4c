"""Masks of groups: scores of filters or channels become masks of all that they live in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from secateur.pruning.allocation import Candidates
from secateur.pruning.chosen_layers import ChosenLayers, Pool
from secateur.pruning.criterion import (
    SCALES,
    Criterion,
    Statistics,
    needs_of,
    scored,
    scores_everywhere,
)
from secateur.pruning.densities import LayerShape
from secateur.pruning.group_norms import each_place
from secateur.pruning.groups import Groups, Slot
from secateur.pruning.layer_counts import allocate_part
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.normalize import normalized
from secateur.pruning.reduced import Reduced
from secateur.pruning.weights import Weight
from secateur.registry import CRITERIA


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
    ranked = _ranked(weights, part, statistics)
    scores = _score(groups, _places(model, groups, ranked, part), part, statistics)
    units = _Units(scores, *_count(groups, ranked, previous))
    kept, floored = _allocate(groups, pools, units, part, chosen, statistics, round_to, shapes)
    floored += _revive(groups, weights, units, kept)
    return Masks(_spread(model, groups.slots, kept), tuple(dict.fromkeys(floored)))


@dataclass(frozen=True)
class _Units:
    """What is known of each group, all of shape `[groups]`.

    Attributes:
        scores: float64; what the weights that compute the group give it, or all of its places,
            reduced.
        sizes: int64; how many weights of the scope those are.
        pruned: bool; whether all of them were pruned before.
    """

    scores: Tensor
    sizes: Tensor
    pruned: Tensor


@dataclass(frozen=True)
class _Place:
    """One axis of one tensor in which groups have a place, to be scored."""

    slot: Slot
    name: str
    module: str
    value: Tensor


def _ranked(
    weights: Mapping[str, Weight], part: Part, statistics: Statistics
) -> Mapping[str, Weight]:
    """The weights that a criterion can score: a convolution that no norm follows is kept."""
    if SCALES not in needs_of([CRITERIA[part.criterion]]) or not statistics.has(SCALES):
        return weights
    return {name: weight for name, weight in weights.items() if name in statistics.scales}


def _places(
    model: nn.Module, groups: Groups, weights: Mapping[str, Weight], part: Part
) -> Iterator[_Place]:
    """Where a criterion looks: at the weights that compute groups, or at all that has a place."""
    if not scores_everywhere(CRITERIA[part.criterion]):
        for slot, weight in _scored_slots(groups, weights):
            yield _Place(slot, weight.name, weight.module, weight.value)
        return
    for slot, parameter in each_place(model, groups):
        module = slot.parameter.rpartition(".")[0]
        yield _Place(slot, slot.parameter, module, parameter.detach())


def _score(groups: Groups, places: Iterable[_Place], part: Part, statistics: Statistics) -> Tensor:
    """What each group gets from its places, reduced: float64 `[groups]`."""
    criterion: Criterion = CRITERIA[part.criterion]
    scores = Reduced(part.reduce, groups.count)
    for place in places:
        slot, value = place.slot, place.value.cpu()
        rows = _rows(value, slot.axis)
        known = statistics.in_rows(place.name, value, partial(_rows, axis=slot.axis))
        member = slot.groups >= 0
        found = scored(criterion, place.name, rows, known).double()
        own = groups.layers.index(place.module) if place.module in groups.layers else -1
        scores.add(slot.groups[member], found[member], groups.layer == own)
    return scores.values()


def _count(groups: Groups, weights: Mapping[str, Weight], previous: Masks) -> tuple[Tensor, Tensor]:
    """The weights of the scope that compute each group, and whether all were pruned before."""
    sizes = torch.zeros(groups.count, dtype=torch.int64)
    gone = torch.zeros(groups.count, dtype=torch.int64)
    for slot, weight in _scored_slots(groups, weights):
        shape = weight.value.shape
        member = slot.groups >= 0
        index = slot.groups[member]
        sizes.index_add_(0, index, torch.full_like(index, shape.numel() // shape[slot.axis]))
        before = previous.get(slot.parameter)
        if before is not None and before.numel() == shape.numel():
            gone.index_add_(0, index, (~_rows(before.cpu(), slot.axis)).sum(dim=1)[member])
    return sizes, gone == sizes


def _scored_slots(groups: Groups, weights: Mapping[str, Weight]) -> list[tuple[Slot, Weight]]:
    """The slots whose weights compute a group and belong to the scope; each weight once an axis.

    Of a weight that is computed, the slot may be that of any ingredient (the `g` of weight norm).
    """
    owners = {name: weight for weight in weights.values() for name in weight.ingredients}
    found: dict[tuple[str, int], tuple[Slot, Weight]] = {}
    for slot in groups.slots:
        if slot.role == "write" and slot.parameter in owners:
            weight = owners[slot.parameter]
            if slot.groups.numel() == weight.value.shape[slot.axis]:
                found.setdefault((weight.name, slot.axis), (slot, weight))
    return list(found.values())


def _rows(weight: Tensor, axis: int) -> Tensor:
    return weight.movedim(axis, 0).reshape(weight.shape[axis], -1)


def _allocate(
    groups: Groups,
    pools: Sequence[Pool],
    units: _Units,
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


def _members(groups: Groups, units: _Units) -> dict[str, Tensor]:
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
    for slot, weight in _scored_slots(groups, weights):
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


def _revive(
    groups: Groups, weights: Mapping[str, Weight], units: _Units, kept: Tensor
) -> list[str]:
    """Keep, in place, the best group of every layer that would be emptied; name those layers.

    The floor of the allocation guards the layer that a group is ranked under. Another one may
    share a few of that layer's groups only, or read a few of them only, and lose them all.
    """
    revived = []
    readers = [slot for slot in groups.slots if slot.role == "read"]
    for slot in (*(slot for slot, _ in _scored_slots(groups, weights)), *readers):
        free = slot.groups[slot.groups >= 0]
        free = free[~units.pruned[free] & (units.sizes[free] > 0)]
        if free.numel() and not bool((slot.groups < 0).any() | kept[slot.groups].any()):
            kept[free[units.scores[free].argmax()]] = True
            revived.append(slot.parameter.rpartition(".")[0] or slot.parameter)
    return revived


def _spread(model: nn.Module, slots: Sequence[Slot], kept: Tensor) -> dict[str, Tensor]:
    """Masks of the parameters that compute a group or scale it; those that read it are kept."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    masks: dict[str, Tensor] = {}
    for slot in slots:
        if slot.role == "read" or bool((slot.groups < 0).all()):
            continue
        parameter = parameters[slot.parameter]
        along = kept[slot.groups.clamp(min=0)] | (slot.groups < 0)
        shape = [1] * parameter.ndim
        shape[slot.axis] = -1
        mask = along.reshape(shape).expand(parameter.shape).to(parameter.device)
        known = masks.get(slot.parameter)
        masks[slot.parameter] = mask.clone() if known is None else known & mask
    return masks
