"""Group scores: what a criterion gives each channel, head or branch, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from secateur.pruning.criterion import (
    SCALES,
    Criterion,
    Statistics,
    needs_of,
    scored,
    scores_everywhere,
)
from secateur.pruning.group_norms import each_place
from secateur.pruning.groups import Groups, Slot
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.reduced import Reduced
from secateur.pruning.weights import Weight
from secateur.registry import CRITERIA


@dataclass(frozen=True)
class Units:
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


def score_groups(
    model: nn.Module,
    groups: Groups,
    weights: Mapping[str, Weight],
    part: Part,
    statistics: Statistics,
    previous: Masks,
) -> Units:
    """Score groups by the weights that compute them, and count those.

    Args:
        model: The network.
        groups: The groups.
        weights: Those of the scope, by name.
        part: The criterion, and how what several weights give is reduced.
        statistics: What the criterion reads beside the weights.
        previous: What was cut before.
    """
    ranked = _ranked(weights, part, statistics)
    scores = _score(groups, _places(model, groups, ranked, part), part, statistics)
    sizes, pruned = _count(groups, ranked, previous)
    if groups.whole:  # all weights of a unit go with it, once some of them are scored
        every, pruned = _count(groups, weights, previous)
        sizes = every.masked_fill(sizes == 0, 0)
    return Units(scores, sizes, pruned)


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
        for slot, weight in scored_slots(groups, weights):
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
    for slot, weight in scored_slots(groups, weights):
        shape = weight.value.shape
        member = slot.groups >= 0
        index = slot.groups[member]
        sizes.index_add_(0, index, torch.full_like(index, shape.numel() // shape[slot.axis]))
        before = previous.get(slot.parameter)
        if before is not None and before.numel() == shape.numel():
            gone.index_add_(0, index, (~_rows(before.cpu(), slot.axis)).sum(dim=1)[member])
    return sizes, gone == sizes


def scored_slots(groups: Groups, weights: Mapping[str, Weight]) -> list[tuple[Slot, Weight]]:
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


def spread(model: nn.Module, slots: Sequence[Slot], kept: Tensor) -> dict[str, Tensor]:
    """Masks of the parameters that compute a group or scale it; those that read it are kept.

    Args:
        model: The network.
        slots: The groups' places.
        kept: bool `[groups]`.
    """
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
