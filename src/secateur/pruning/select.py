"""Select: a method's parts, applied to a model's weights, become masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from secateur.errors import MaskError, ModelError
from secateur.foundation.granularity import BRANCH, HEAD, KERNEL, block, n_of_m
from secateur.pruning.allocation import is_finite
from secateur.pruning.branch_masks import cut_branches
from secateur.pruning.chosen_layers import ChosenLayers, Pool
from secateur.pruning.criterion import (
    SCALES,
    Statistics,
    needs_of,
    reconstructs,
    scores_channels_only,
)
from secateur.pruning.densities import layer_shapes
from secateur.pruning.group_masks import cut_groups
from secateur.pruning.groups import Groups
from secateur.pruning.layers import ALL_LAYERS, Layers, Sparsity, one_each
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.pinned import Pinned, Report
from secateur.pruning.reconstruction import check_reconstructed, cut_and_reconstruct
from secateur.pruning.statistics import needs_data, needs_of_part
from secateur.pruning.weight_masks import cut_weights
from secateur.pruning.weights import Tied, in_scope, sorted_weights
from secateur.registry import COLLECTORS, CRITERIA

_WITH_DATA = (
    "Pass data= (batches of training data) and loss= to secateur.prune, or statistics= that hold "
    "them."
)
_WITH_EXAMPLE = "Pass example_inputs= to secateur.prune: it is gathered from an example alone."

GroupsOf = Callable[[Part], Groups]


def cut(
    model: nn.Module,
    parts: Sequence[Part],
    level: Sequence[Sparsity],
    *,
    groups_of: GroupsOf | None = None,
    statistics: Statistics | None = None,
    previous: Masks | None = None,
    round_to: int = 1,
    example_inputs: Any = None,
    tied: Tied = "keep",
    layers: Layers = ALL_LAYERS,
) -> Masks:
    """Score the model's units and choose what is kept. The model is left as it is.

    Args:
        model: The network.
        parts: The cuts of a method.
        level: One sparsity for each part, or one for all of them; each a number or a table of
            patterns (see `secateur.pruning.layers`).
        groups_of: Gives a part's groups where its granularity is of channels, heads or branches.
        statistics: What the criteria read beside the weights.
        previous: Masks that the new ones must lie within. A later part counts what an earlier one
            cut: channels of convolutions may hold rows of linear layers too.
        round_to: Layers whose filters or channels may go keep a multiple of so many.
        example_inputs: Shows which parameters of layers of one's own are weights.
        tied: Whether a matrix that an embedding shares is a weight (`prune`) or not (`keep`).
        layers: Which layers take part, and how much of each may go.

    Returns:
        Masks of every parameter that a part's units cover. Their report names the channels that
        the choice of layers keeps.

    Raises:
        MaskError: The level does not fit the parts, is out of range, a pattern matches nothing, or
            weights are not finite.
        ModelError: A scope has nothing to prune.
    """
    sparsities = one_each(len(parts), level)
    found = previous or Masks({})
    gathered = statistics or Statistics()
    every = sorted_weights(
        model, example_inputs=example_inputs, tied=tied, prunable=layers.prunable
    ).weights
    chosen = ChosenLayers(model, layers, [one for one in sparsities if isinstance(one, tuple)])
    chosen.check(every)
    scopes = [in_scope(every, part.scope, type(model).__name__) for part in parts]
    pools_of = chosen.pools_of(scopes, sparsities) if parts else []
    shapes = layer_shapes(every) if any(part.by_layer for part in parts) else {}
    pins: list[Pinned] = []
    note = ""
    for part, sparsity, pools in zip(parts, sparsities, pools_of, strict=True):
        statistic = replace(gathered, options={**gathered.options, **part.options})
        check_units(part)
        _check_needs(part, statistic)
        _check_finite(pools)
        if reconstructs(CRITERIA[part.criterion]):
            masks = cut_and_reconstruct(model, pools, part, chosen, statistic, found, shapes)
        elif part.cuts_channels:
            units = _groups(groups_of, part)
            free, held = chosen.free(units, every, sparsity)
            pins.extend(held)
            own = _that_compute(units, pools) if part.granularity in (HEAD, BRANCH) else pools
            if units.whole:
                _check_no_multiple(round_to)
                names = {name for one in every.values() for name in one.ingredients}
                masks = cut_branches(model, free, own, names, part, chosen, statistic, found)
                pins, note = [*pins, *masks.report], masks.report.note
            else:
                masks = cut_groups(
                    model, free, own, part, chosen, statistic, found, round_to, shapes
                )
        else:
            masks = cut_weights(model, pools, part, chosen, statistic, found, shapes)
        found = found.merged(masks)
    found.report = Report(pins, note)
    return found


def check_units(part: Part) -> None:
    """Refuse what a granularity cannot be with: a criterion, a ranking, a scope.

    Args:
        part: A cut.

    Raises:
        MaskError: One of them is.
    """
    if reconstructs(CRITERIA[part.criterion]):
        check_reconstructed(part)
    if not part.cuts_channels and scores_channels_only(CRITERIA[part.criterion]):
        raise MaskError(
            "prune",
            f"the criterion {part.criterion!r}",
            given="for single weights",
            expected="granularity 'filter' or 'channel': it scores nothing smaller",
            remedy="Choose another granularity, or another criterion.",
        )
    if part.ranked == "output" and part.cuts_channels:
        raise MaskError(
            "prune",
            "the ranking",
            given=f"'output' of a method that cuts by {part.granularity}",
            expected="'global' or 'layer': an output is what such a method cuts",
            remedy="Choose another ranking, or a method of single weights.",
        )
    if part.granularity == BRANCH and part.by_layer:
        raise MaskError(
            "prune",
            "the allocation",
            given=f"{part.allocation!r} of a method that cuts by {part.granularity}",
            expected="none, or 'global': a branch is several layers, and goes whole",
            remedy="Leave the allocation out, or choose another granularity.",
        )
    shape = block(part.granularity)
    if part.ranked == "output" and shape is not None and shape.rows > 1:
        raise MaskError(
            "prune",
            "the ranking",
            given=f"'output' of blocks {part.granularity}, each of several outputs",
            expected="'global' or 'layer'",
            remedy="Pass ranking='layer', or blocks of one row.",
        )
    if part.allocation and n_of_m(part.granularity) is not None:
        raise MaskError(
            "prune",
            "the allocation",
            given=f"{part.allocation!r} beside the granularity {part.granularity!r}, of which "
            "every group keeps as many",
            expected="none",
            remedy="Leave the allocation out, or choose another granularity.",
        )
    if part.granularity == KERNEL and part.scope != "conv":
        raise MaskError(
            "prune by kernel",
            "the scope",
            given=f"{part.scope!r}",
            expected="'conv': what is no convolution has no kernels",
            remedy="Choose another scope, or another granularity.",
        )


def _check_needs(part: Part, statistics: Statistics) -> None:
    """Refuse a part whose statistics are not there, before anything is scored."""
    for need in needs_of_part(part):
        if need != SCALES and not statistics.has(need):
            raise MaskError(
                "prune",
                "statistics",
                given=f"without {need}, which {_who_needs(part, need)} needs",
                expected=f"{need} of every weight",
                remedy=_WITH_DATA if need not in COLLECTORS or needs_data(need) else _WITH_EXAMPLE,
            )


def _who_needs(part: Part, need: str) -> str:
    if need in needs_of([CRITERIA[part.criterion]]):
        return f"the criterion {part.criterion!r}"
    return f"the allocation {part.allocation!r}"


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


def _check_no_multiple(round_to: int) -> None:
    if round_to > 1:
        raise MaskError(
            "prune by branch",
            "round_to",
            given=f"{round_to}",
            expected="1: a branch goes with all its channels",
            remedy="Leave it out, or choose the granularity 'channel'.",
        )


def _that_compute(units: Groups, pools: Sequence[Pool]) -> list[Pool]:
    """The weights that compute some units: a share of heads is one of what heads are made of."""
    written = {slot.parameter for slot in units.slots if slot.role == "write"}
    found = []
    for pool in pools:
        own = {
            name: weight
            for name, weight in pool.weights.items()
            if written & set(weight.ingredients)
        }
        found += [replace(pool, weights=own)] if own else []
    return found


def _check_finite(pools: Sequence[Pool]) -> None:
    for pool in pools:
        for name, weight in pool.weights.items():
            value = weight.value
            if not is_finite(value):
                bad = int((~torch.isfinite(value)).sum())
                raise MaskError(
                    "prune",
                    name,
                    given=f"a weight with {bad} of {value.numel()} elements NaN or infinite",
                    expected="finite weights",
                    remedy="Training has diverged before this point: lower the learning rate, "
                    "clip gradients, or prune an earlier checkpoint.",
                )
