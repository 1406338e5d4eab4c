"""Cut check: what the methods of a study would cut of its net, looked at before anything trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from secateur.foundation.level import shares_of, target_of
from secateur.foundation.target import Target
from secateur.pruning.chosen_layers import ChosenLayers
from secateur.pruning.criterion import SCORES, Statistics, needs_of
from secateur.pruning.groups import Groups
from secateur.pruning.layers import Layers, one_each
from secateur.pruning.masks import Masks
from secateur.pruning.method import Method, Part, is_structured, parts_of
from secateur.pruning.select import check_units, cut
from secateur.pruning.user_scores import checked_scores
from secateur.pruning.weights import in_scope, sorted_weights
from secateur.registry import ALLOCATIONS, METHODS
from secateur.spec import StudySpec
from secateur.study.method_settings import (
    copied,
    files_of,
    layers_of,
    schedule_of,
    settings_for,
)
from secateur.study.tensor_files import read_tensors
from secateur.verbs.cut_inputs import check_masks
from secateur.verbs.left_out import idle_patterns, what_is_left_out
from secateur.verbs.target import check_reach
from secateur.verbs.units import SharedUnits, groups_of
from secateur.version_settings import guarded_patterns


def check_study_cuts(study: StudySpec, model: nn.Module, example: Any) -> Iterator[str]:
    """Look for what every method of a study cuts.

    Args:
        study: The settings.
        model: The net, in any state.
        example: A batch that it accepts.

    Returns:
        What one may not expect of them, a sentence each with the methods of which it is true.

    Raises:
        UsageError: As `check_cuts`.
    """
    # A pattern of the study's is refused even where each method has its own.
    ChosenLayers(model, Layers(study.exclude, study.only, (), study.max_sparsity or ()))
    said: dict[str, list[str]] = {}
    for name in study.methods:
        for sentence in check_cuts(study, name, model, example):
            said.setdefault(sentence, []).append(name)
    for sentence, names in said.items():
        yield f"{', '.join(names)}: {sentence}"


def check_cuts(study: StudySpec, name: str, model: nn.Module, example: Any) -> list[str]:
    """Look for what a method prunes and for every layer that its settings name; try a cut.

    The cut is that of the lowest level, by the user's scores or by some drawn at random:
    statistics of data are not there yet, and which units go makes no difference to how many do.

    Args:
        study: The settings.
        name: The method's name.
        model: The net, in any state.
        example: A batch that it accepts.

    Returns:
        What one may not expect of the method's cuts, a sentence each.

    Raises:
        ModelError: There is nothing to prune.
        MaskError: A pattern matches nothing, the choice of layers leaves nothing to prune, or
            files of scores or masks do not fit.
        ChannelError: The channels cannot be traced.
    """
    method: Method = METHODS[name]
    if method.start == "initial":
        return check_cuts(study, copied(study.methods[name]), model, example)
    layers = Layers(**layers_of(study, name))
    found = sorted_weights(model, prunable=layers.prunable)
    parts = parts_of(method, settings_for(study, name))
    scopes = [in_scope(found.weights, part.scope, type(model).__name__) for part in parts]
    scope = {name: weight for one in scopes for name, weight in one.items()}
    groups: dict[tuple[str, str], Groups] = {
        (part.granularity, part.scope): groups_of(model, part, example, layers)
        for part in parts
        if part.cuts_channels
    }
    asked = study.levels_of(name) if parts else ()
    targets = [target for level in asked if (target := target_of(level)) is not None]
    _check_targets(model, example, targets, parts, layers)
    levels = [shares_of(level) for level in asked if target_of(level) is None]
    said: list[str] = []
    for level in levels:
        chosen = ChosenLayers(model, layers, [one for one in level if isinstance(one, tuple)])
        chosen.check(found.weights)
        chosen.pools_of(scopes, one_each(len(parts), level))
        said += idle_patterns(chosen, scope, guarded_patterns(study.version))
    if not levels:
        return []
    incremental = schedule_of(study, name) == "incremental"
    if incremental and any(isinstance(one, tuple) for level in levels[1:] for one in level):
        said.append(
            "each level starts from the one before, whose zeros stay in the layers that a table "
            "does not name; with schedule = 'one-shot' each starts from the dense net"
        )
    files = files_of(study, name)
    criterion, known, previous = "random", Statistics(), None
    if "scores" not in files:
        for part in parts:
            check_units(part)
    else:
        given = checked_scores(read_tensors(files["scores"]), found.weights)
        criterion, known = SCORES, Statistics(gathered={SCORES: given})
    if "masks" in files:
        previous = Masks(read_tensors(files["masks"]))
        check_masks(previous, model, layers)
    cut_at = partial(
        cut,
        model,
        [replace(_without_data(part), criterion=criterion) for part in parts],
        groups_of=lambda part: groups[part.granularity, part.scope],
        statistics=known,
        previous=previous,
        layers=layers,
    )
    said += what_is_left_out(
        model, found, cut_at(levels[0]), parts, levels[0], layers, guarded_patterns(study.version)
    )
    if any(part.by_layer for part in parts):
        cut_at(levels[-1])  # an allocation may spare more than the highest level leaves
    return list(dict.fromkeys(said))


def _without_data(part: Part) -> Part:
    """The part with an allocation that is there before any data are."""
    needed = needs_of([ALLOCATIONS[part.allocation]]) if part.by_layer else ()
    return replace(part, allocation="uniform") if needed else part


def _check_targets(
    model: nn.Module,
    example: Any,
    targets: Sequence[Target],
    parts: Sequence[Part],
    layers: Layers,
) -> None:
    """Refuse counts that no cut of this net reaches: they depend little on its weights."""
    tried = [replace(part, criterion="random") for part in parts]
    units = SharedUnits(model, example, layers)

    def cut_at(net: nn.Module, sparsity: float) -> Masks:
        return cut(
            net,
            tried,
            (sparsity,),
            groups_of=units.of,
            layers=layers,
        )

    structured = is_structured(parts)
    for target in targets:
        if target.cost in ("macs", "parameters"):
            check_reach(model, target, cut_at, example, structured=structured)
