"""The plan of a cut: which of the classes that masks have emptied go, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from secateur.channels.compaction.bias_folding import Fold, find_folds
from secateur.channels.compaction.removable import removable
from secateur.channels.labels.axis_labels import Flags
from secateur.channels.labels.constant_propagation import used_slices
from secateur.channels.tracing.attribute_search import dry_run_cut
from secateur.channels.tracing.channel_classes import Classes, roles_of
from secateur.channels.tracing.cut import Cut
from secateur.channels.tracing.module_numbers import Numbers, numbers_of, orders_of
from secateur.channels.tracing.solver import ROUNDS
from secateur.channels.tracing.state import State, is_sized
from secateur.foundation.run_example import Inputs

Kept = dict[str, dict[int, Tensor]]


class Refused(NamedTuple):
    """Classes that stay, and the operator that needs them."""

    classes: Flags
    operator: str
    path: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What leaves a masked network.

    Attributes:
        cut: The classes that go.
        kept: By parameter or buffer and axis, what stays of each axis that loses something.
        folds: What biases take over.
        numbers: What the modules' own numbers become.
        refused: Classes that the network's own code could not do without, and where.
    """

    cut: Cut
    kept: Kept
    folds: list[Fold]
    numbers: Numbers
    refused: tuple[Refused, ...] = ()


def make_plan(
    masked: nn.Module,
    example_inputs: Inputs,
    known: State,
    foldable: frozenset[str],
    classes: Classes,
) -> Plan:
    """Which classes go; those that the network's own code cannot follow stay.

    Args:
        masked: The masked network.
        example_inputs: Its inputs.
        known: Its pass, with constants followed.
        foldable: Weights whose layer can take a constant into its bias.
        classes: The classes of the pass, with those pinned that have to stay.
    """
    state = replace(known, classes=classes, attributes=list(known.attributes))
    refused: list[Refused] = []
    for _ in range(ROUNDS):
        gone = removable(state.tape, classes, foldable=foldable)
        gone &= ~_unread_layers(masked, state, gone)
        cut = Cut(state.tape, classes, gone)
        emptied = _emptied(cut)
        if emptied.any():
            classes = pin_more(classes, emptied)
            state.classes = classes
            continue
        numbers, failures = numbers_of(masked, cut, state.attributes), list[int]()
        if is_sized(state, gone):
            numbers, failures = dry_run_cut(masked, example_inputs, state, cut)
        if not failures:
            break
        refused += _refusals(cut, failures)
        classes = pin_more(classes, _touched_by(cut, failures))
        state.classes = classes
    else:
        cut = Cut(state.tape, classes, np.zeros_like(classes.pinned))
        numbers = {}
    folds = find_folds(masked, cut.tape, cut.classes, cut.gone, foldable)
    numbers = {**numbers, **orders_of(masked, cut)}
    return Plan(cut, kept_indices(cut), folds, numbers, tuple(refused))


def pin_more(classes: Classes, held: Flags) -> Classes:
    """The same classes, some more of them pinned, without a line in the report."""
    return replace(classes, pinned=classes.pinned | held)


def _refusals(cut: Cut, failures: list[int]) -> list[Refused]:
    """What each step that did not follow a cut holds."""
    steps = cut.tape.steps
    return [
        Refused(
            _touched_by(cut, [number]) & cut.gone,
            f"{steps[number].name} (a size written in the code)",
            steps[number].path,
        )
        for number in failures
    ]


def _touched_by(cut: Cut, numbers: list[int]) -> Flags:
    """The classes that these steps read or give."""
    flags = np.zeros_like(cut.gone)
    for number in numbers:
        step = cut.tape.steps[number]
        for layout in [*step.inputs, *(out[0] for out in step.outputs)]:
            for axis in layout.axes:
                if axis is not None:
                    flags[cut.classes.of(axis.labels)] = True
    return flags


def _emptied(cut: Cut) -> Flags:
    """One class of every axis that would lose all of its own."""
    flags = np.zeros_like(cut.gone)
    for layout in cut.tape.parameters.values():
        for axis in layout.axes:
            if axis is not None:
                members = cut.classes.of(axis.labels)
                if cut.gone[members].all() and not flags[members].any():
                    flags[members[0]] = True
    return flags


def _unread_layers(masked: nn.Module, state: State, gone: Flags) -> Flags:
    """Channels that masks have not emptied, in layers that nobody reads: dead code stays."""
    stays = np.zeros_like(gone)
    roles = roles_of(state.tape)
    parameters = dict(masked.named_parameters())
    for name, parameter in parameters.items():
        for position, axis in enumerate(state.tape.parameters[name].axes):
            if axis is None or roles[name, position] != "write":
                continue
            members = state.classes.of(axis.labels)
            if gone[members].all():
                stays[members[used_slices(parameter, position)]] = True
    return stays


def kept_indices(cut: Cut) -> Kept:
    """What stays of each parameter and buffer, along each axis that loses something."""
    kept: Kept = {}
    for name, layout in cut.tape.parameters.items():
        for position, axis in enumerate(layout.axes):
            if axis is None:
                continue
            stays = ~cut.gone[cut.classes.of(axis.labels)]
            if not stays.all():
                kept.setdefault(name, {})[position] = torch.from_numpy(np.flatnonzero(stays))
    return kept
