"""Select: a method's parts, applied to a model's weights, become masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from secateur.errors import MaskError, ModelError
from secateur.pruning.allocation import Candidates, allocate, is_finite
from secateur.pruning.criterion import SCALES, Criterion, Statistics, needs_of
from secateur.pruning.groups import Groups, Slot
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.weights import Tied, Weight, prunable_weights
from secateur.registry import CRITERIA

GroupsOf = Callable[[Part], Groups]


def cut(
    model: nn.Module,
    parts: Sequence[Part],
    level: Sequence[float],
    *,
    groups_of: GroupsOf | None = None,
    statistics: Statistics | None = None,
    previous: Masks | None = None,
    round_to: int = 1,
    example_inputs: Any = None,
    tied: Tied = "keep",
) -> Masks:
    """Score the model's units and choose what is kept. The model is left as it is.

    Args:
        model: The network.
        parts: The cuts of a method.
        level: One sparsity for each part, or one for all of them.
        groups_of: Gives a part's groups where its granularity is `filter` or `channel`.
        statistics: What the criteria read beside the weights.
        previous: Masks that the new ones must lie within. A later part counts what an earlier one
            cut: channels of convolutions may hold rows of linear layers too.
        round_to: Layers whose filters or channels may go keep a multiple of so many.
        example_inputs: Shows which parameters of layers of one's own are weights.
        tied: Whether a matrix that an embedding shares is a weight (`prune`) or not (`keep`).

    Returns:
        Masks of every parameter that a part's units cover.

    Raises:
        MaskError: The level does not fit the parts, is out of range, or weights are not finite.
        ModelError: A scope has nothing to prune.
    """
    sparsities = _one_each(parts, level)
    found = previous or Masks({})
    gathered = statistics or Statistics()
    for part, sparsity in zip(parts, sparsities, strict=True):
        known = replace(gathered, options={**gathered.options, **part.options})
        _check_needs(part, known)
        weights = prunable_weights(model, part.scope, example_inputs=example_inputs, tied=tied)
        _check_finite(weights)
        if part.granularity == "weight":
            masks = _cut_weights(weights, part, sparsity, known, found)
        else:
            groups = _groups(groups_of, part)
            units = _score_groups(groups, weights, part, known, found)
            kept, floored = _allocate_groups(groups, weights, units, part, sparsity, round_to)
            masks = Masks(_spread(model, groups.slots, kept), floored)
        found = found.merged(masks)
    return found


def _check_needs(part: Part, statistics: Statistics) -> None:
    """Refuse a criterion whose statistics are not there, before anything is scored."""
    for need in needs_of([CRITERIA[part.criterion]]):
        if need != SCALES and not statistics.has(need):
            raise MaskError(
                "prune",
                "statistics",
                given=f"without {need}, which the criterion {part.criterion!r} needs",
                expected=f"{need} of every weight",
                remedy="Pass data= (batches of training data) and loss= to secateur.prune, or "
                "statistics= that hold them.",
            )


def _one_each(parts: Sequence[Part], level: Sequence[float]) -> Sequence[float]:
    if len(level) == 1:
        return list(level) * len(parts)
    if len(level) != len(parts):
        raise MaskError(
            "prune",
            "the level",
            given=f"{len(level)} sparsities",
            expected=f"one, or one for each of the method's {len(parts)} parts",
            remedy="Give one number, or for 'combined' one for the convolutions and one for "
            "the rest.",
        )
    return level


def _groups(groups_of: GroupsOf | None, part: Part) -> Groups:
    if groups_of is None:
        raise ModelError(
            f"prune by {part.granularity}",
            "example_inputs",
            given="missing",
            expected="a batch that the model accepts",
            remedy="Pass example_inputs=, so that the channels can be traced.",
        )
    return groups_of(part)


def _check_finite(weights: dict[str, Weight]) -> None:
    for name, weight in weights.items():
        value = weight.value
        if not is_finite(value):
            bad = int((~torch.isfinite(value)).sum())
            raise MaskError(
                "prune",
                name,
                given=f"a weight with {bad} of {value.numel()} elements NaN or infinite",
                expected="finite weights",
                remedy="Training has diverged before this point: lower the learning rate, clip "
                "gradients, or prune an earlier checkpoint.",
            )


def _cut_weights(
    weights: dict[str, Weight],
    part: Part,
    sparsity: float,
    statistics: Statistics,
    previous: Masks,
) -> Masks:
    criterion: Criterion = CRITERIA[part.criterion]
    candidates = []
    _check_maskable(weights)
    for name, weight in weights.items():
        value = weight.value
        rows = _single(value)
        before = previous.get(name)
        pruned = None if before is None else ~before.reshape(-1).to(rows.device)
        known = statistics.in_rows(name, value, _single)
        candidates.append(Candidates(name, _scored(criterion, name, rows, known), 1, pruned))
    chosen = allocate(candidates, sparsity, part.ranking)
    masks: dict[str, Tensor] = {}
    for (name, weight), kept in zip(weights.items(), chosen.kept, strict=True):
        shaped = kept.reshape(weight.parameter.shape)
        if weight.computed is None:
            masks[name] = shaped
        else:
            own = name.removeprefix(f"{weight.module}.") if weight.module else name
            for ingredient, mask in weight.computed.masks(own, shaped).items():
                masks[f"{weight.module}.{ingredient}" if weight.module else ingredient] = mask
    return Masks(masks, chosen.floored)


def _check_maskable(weights: dict[str, Weight]) -> None:
    """A weight that is computed can be cut where a zero in an ingredient is a zero in it."""
    for name, weight in weights.items():
        if weight.computed is not None and not weight.maskable:
            raise MaskError(
                "prune",
                name,
                given=f"an ingredient of a weight that is computed ({weight.computed.name} of "
                f"{weight.module or 'the network'}), in which its zeros do not show",
                expected="weights that masks can zero",
                remedy=f"Make it an ordinary parameter first: {weight.computed.remedy}.",
            )


@dataclass(frozen=True)
class _Units:
    """What is known of each group, all of shape `[groups]`.

    Attributes:
        scores: float64; the sum over the weights that compute the group.
        sizes: int64; how many weights of the scope those are.
        pruned: bool; whether all of them were pruned before.
    """

    scores: Tensor
    sizes: Tensor
    pruned: Tensor


def _score_groups(
    groups: Groups,
    weights: dict[str, Weight],
    part: Part,
    statistics: Statistics,
    previous: Masks,
) -> _Units:
    criterion: Criterion = CRITERIA[part.criterion]
    scores = torch.zeros(groups.count, dtype=torch.float64)
    sizes = torch.zeros(groups.count, dtype=torch.int64)
    gone = torch.zeros(groups.count, dtype=torch.int64)
    for slot, weight in _scored_slots(groups, weights):
        scaled = SCALES in needs_of([criterion]) and statistics.has(SCALES)
        if scaled and weight.name not in statistics.scales:
            continue  # a convolution that no norm follows is kept
        value = weight.value.cpu()
        rows = _rows(value, slot.axis)
        known = statistics.in_rows(weight.name, value, partial(_rows, axis=slot.axis))
        member = slot.groups >= 0
        index = slot.groups[member]
        scored = _scored(criterion, weight.name, rows, known).double()
        scores.index_add_(0, index, scored[member])
        sizes.index_add_(0, index, torch.full_like(index, rows.shape[1]))
        before = previous.get(slot.parameter)
        if before is not None and before.numel() == rows.numel():
            gone.index_add_(0, index, (~_rows(before.cpu(), slot.axis)).sum(dim=1)[member])
    return _Units(scores, sizes, pruned=gone == sizes)


def _scored_slots(groups: Groups, weights: dict[str, Weight]) -> list[tuple[Slot, Weight]]:
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


def _scored(criterion: Criterion, name: str, rows: Tensor, known: Statistics) -> Tensor:
    scores: object = criterion(name, rows, known)
    if not isinstance(scores, Tensor) or tuple(scores.shape) != (rows.shape[0],):
        given = f"of shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores)
        raise MaskError(
            f"scoring by {getattr(criterion, '__name__', 'a criterion')}",
            name,
            given=f"scored as {given}",
            expected=f"a tensor of {rows.shape[0]} scores, one a unit",
            remedy="Mend the criterion: it gives one score for each row that it gets.",
        )
    return scores


def _single(weight: Tensor) -> Tensor:
    return weight.reshape(-1, 1)


def _rows(weight: Tensor, axis: int) -> Tensor:
    return weight.movedim(axis, 0).flatten(1)


def _allocate_groups(
    groups: Groups,
    weights: dict[str, Weight],
    units: _Units,
    part: Part,
    sparsity: float,
    round_to: int,
) -> tuple[Tensor, tuple[str, ...]]:
    """Which groups are kept, bool `[groups]`, and where the floor bit."""
    # A group that holds no weight in this scope costs nothing to keep and is not a candidate.
    members = [
        torch.nonzero((groups.layer == number) & (units.sizes > 0)).squeeze(1)
        for number in range(len(groups.layers))
    ]
    used = [(name, m) for name, m in zip(groups.layers, members, strict=True) if m.numel()]
    widths = _widths(groups)
    candidates = [
        Candidates(
            name,
            units.scores[m],
            units.sizes[m],
            units.pruned[m],
            multiple=math.lcm(
                round_to // math.gcd(round_to, *widths[m].tolist()),
                groups.multiples.get(name, 1),
            ),
        )
        for name, m in used
    ]
    total = sum(weight.value.numel() for weight in weights.values())
    chosen = allocate(candidates, sparsity, part.ranking, total)
    kept = torch.ones(groups.count, dtype=torch.bool)
    for (_, member), keep in zip(used, chosen.kept, strict=True):
        kept[member] = keep
    revived = _revive(groups, weights, units, kept)
    return kept, tuple(dict.fromkeys((*chosen.floored, *revived)))


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


def _revive(groups: Groups, weights: dict[str, Weight], units: _Units, kept: Tensor) -> list[str]:
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
        if slot.role == "read":
            continue
        parameter = parameters[slot.parameter]
        along = kept[slot.groups.clamp(min=0)] | (slot.groups < 0)
        shape = [1] * parameter.ndim
        shape[slot.axis] = -1
        mask = along.reshape(shape).expand(parameter.shape).to(parameter.device)
        known = masks.get(slot.parameter)
        masks[slot.parameter] = mask.clone() if known is None else known & mask
    return masks
