"""Cutting: what masks have emptied leaves a network, and what it cannot do without stays.

The cut is planned, made on a copy and compared with the masked network. Where that differs, the
classes that are to blame stay, with a line in the report, and the rest is cut again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from secateur.channels.compaction.bias_folding import (
    Fold,
    apply_folds,
    find_folds,
)
from secateur.channels.compaction.culprits import culprits
from secateur.channels.compaction.removable import removable
from secateur.channels.compaction.verify import Difference, compare
from secateur.channels.labels.axis_labels import Flags
from secateur.channels.labels.constant_propagation import used_slices
from secateur.channels.labels.constraints import Pin
from secateur.channels.rebuild import rebuild, take
from secateur.channels.tracing.attribute_search import dry_run_cut
from secateur.channels.tracing.channel_classes import Classes, foldable_weights, roles_of
from secateur.channels.tracing.cut import Cut
from secateur.channels.tracing.module_numbers import Numbers, numbers_of, orders_of, set_numbers
from secateur.channels.tracing.recorder import Tape
from secateur.channels.tracing.solver import ROUNDS, solve
from secateur.channels.tracing.state import State, is_sized
from secateur.channels.tracing.zero_check import MAY_BE_NONZERO, bringing
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.run_example import Inputs
from secateur.foundation.truth import all_true, any_true
from secateur.pruning.pinned import Pinned

Kept = dict[str, dict[int, Tensor]]
FEW = 1 << 12


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


@dataclass(slots=True)
class Outcome:
    """A compact network, and what it took to get there.

    Attributes:
        small: The network, its folded biases in float64.
        plan: What left.
        state: The pass that followed constants.
        held: Labels that were found to be needed, with operator and place.
        report: The same for the user.
        last: The last difference; only where nothing could leave.
    """

    small: nn.Module
    plan: Plan
    state: State
    held: list[Pin] = field(default_factory=list)
    report: tuple[Pinned, ...] = ()
    last: Difference | None = None


class Cutter:
    """Cuts one masked network.

    Args:
        model: The network; it is not touched.
        masks: Its masks.
        example_inputs: Its inputs.
        fold: Let biases take over constants other than zero.
        known: The same network, solved before.
        masked: The network with the masks applied, if it is there already.
    """

    def __init__(
        self,
        model: nn.Module,
        masks: Mapping[str, Tensor],
        example_inputs: Inputs,
        *,
        fold: bool,
        known: State | None,
        masked: nn.Module | None = None,
    ) -> None:
        self._model, self._example = model, example_inputs
        self.masked = masked or masked_copy(model, masks).eval()
        self._state = solve(self.masked, example_inputs, constants=True, known=known)
        self._foldable = (
            foldable_weights(self.masked, self._state.tape) if fold else frozenset[str]()
        )

    def run(self, *, verify: bool) -> Outcome:
        """Cut, compare, and cut less until both are the same function.

        Args:
            verify: Compare at all.

        Raises:
            ChannelError: There is nothing to compare on the example.
        """
        plan = self._plan(self._state.classes)
        outcome = Outcome(self._build(plan), plan, self._state)
        rounds = ROUNDS if verify else 0
        while rounds and outcome.plan.cut.gone.any():
            rounds -= 1
            difference = compare(self.masked, outcome.small, self._example, outcome.plan.cut)
            if difference is None:
                break
            self._hold_back(outcome, difference, everything=rounds == 0)
        return outcome

    def kept_back(self, outcome: Outcome, masks: Mapping[str, Tensor]) -> list[Refused]:
        """Classes that the masks have emptied and that stay all the same, with the reason."""
        plan, tape, classes = outcome.plan, self._state.tape, self._state.classes
        left = _emptied_by(masks, tape, classes) & ~plan.cut.gone
        refused = [one for one in plan.refused if (one.classes & left).any()]
        nonzero = left & bringing(tape, classes, foldable=self._foldable)
        return [*refused, *([Refused(nonzero, MAY_BE_NONZERO, "")] if nonzero.any() else [])]

    def _hold_back(self, outcome: Outcome, difference: Difference, *, everything: bool) -> None:
        """Let the classes stay that made a difference."""
        cut = outcome.plan.cut
        expected = difference.trial.run(self.masked)

        def is_right(stay: Flags) -> bool:
            plan = self._plan(_pinned(cut.classes, stay))
            try:
                small = self._build(plan)
                return difference.trial.agrees(self.masked, small, expected)
            except Exception:
                return False

        stay = cut.gone if everything else culprits(cut, difference.place, is_right)
        place, held = difference.place, _report(cut.classes, stay, difference)
        labels = np.flatnonzero(_whole_layers(cut, stay)[cut.classes.component])
        outcome.held.append(Pin(held.operator, place.path, labels))
        outcome.report = (*outcome.report, held)
        outcome.plan = self._plan(_pinned(cut.classes, stay))
        outcome.small = self._build(outcome.plan)
        if not outcome.plan.cut.gone.any():
            outcome.last = difference

    def _plan(self, classes: Classes) -> Plan:
        """Which classes go; those that the network's own code cannot follow stay."""
        state = replace(self._state, classes=classes, attributes=list(self._state.attributes))
        refused: list[Refused] = []
        for _ in range(ROUNDS):
            gone = removable(state.tape, classes, foldable=self._foldable)
            gone &= ~_unread_layers(self.masked, state, gone)
            cut = Cut(state.tape, classes, gone)
            emptied = _emptied(cut)
            if emptied.any():
                classes = _pinned(classes, emptied)
                state.classes = classes
                continue
            numbers, failures = numbers_of(self.masked, cut, state.attributes), list[int]()
            if is_sized(state, gone):
                numbers, failures = dry_run_cut(self.masked, self._example, state, cut)
            if not failures:
                break
            refused += _refusals(cut, failures)
            classes = _pinned(classes, _touched_by(cut, failures))
            state.classes = classes
        else:
            cut = Cut(state.tape, classes, np.zeros_like(classes.pinned))
            numbers = {}
        folds = find_folds(self.masked, cut.tape, cut.classes, cut.gone, self._foldable)
        numbers = {**numbers, **orders_of(self.masked, cut)}
        return Plan(cut, kept_indices(cut), folds, numbers, tuple(refused))

    def _build(self, plan: Plan) -> nn.Module:
        return build(self._model, self.masked, plan.kept, plan.folds, plan.numbers)


def build(
    model: nn.Module,
    masked: nn.Module,
    kept: Mapping[str, Mapping[int, Tensor]],
    folds: list[Fold],
    numbers: Numbers,
) -> nn.Module:
    """The compact network, with no tensor of the caller's in it."""
    full = dict(own_tensors(model))
    tensors = {}
    for name, tensor in own_tensors(masked):
        value = take(tensor.detach(), kept.get(name, {}))
        shared = value.data_ptr() in (full[name].data_ptr(), tensor.data_ptr())
        tensors[name] = value.clone() if shared else value
    small = rebuild(model, tensors)
    rows = {
        name.removesuffix(".weight"): axes[0]
        for name, axes in kept.items()
        if name.endswith(".weight") and 0 in axes
    }
    apply_folds(small, folds, rows)
    set_numbers(small, numbers)
    return small.eval()


def _pinned(classes: Classes, held: Flags) -> Classes:
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


def _report(classes: Classes, held: Flags, difference: Difference) -> Pinned:
    """What one difference held, in the user's words."""
    place = difference.place
    line = f" at {place.line}" if place.line else ""
    operator = f"{place.operator or 'an operator'}{line} ({difference.given})"
    return Pinned(operator, place.path, int((held & classes.candidates).sum()))


def _whole_layers(cut: Cut, stay: Flags) -> Flags:
    """With every channel of the layers of which none of those chosen could leave.

    Others of the layer would be no better; what was to blame is its width.
    """
    written = cut.classes.written
    writes = len(cut.classes.writes)
    chosen, kept = (
        np.bincount(written[one & (written >= 0)], minlength=writes)
        for one in (cut.gone, stay & cut.gone)
    )
    whole = (kept == chosen) & (kept > 0)
    held: Flags = stay | (cut.classes.candidates & whole[written])
    return held


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


def _emptied_by(masks: Mapping[str, Tensor], tape: Tape, classes: Classes) -> Flags:
    """Bool `[classes]`: those of which the masks leave nothing that computes them."""
    alive = np.zeros_like(classes.pinned)
    roles = roles_of(tape)
    for name, layout in tape.parameters.items():
        for position, axis in enumerate(layout.axes):
            if axis is None or roles[name, position] != "write":
                continue
            members = classes.of(axis.labels)
            mask = masks.get(name)
            if mask is not None:
                members = members[used_slices(mask, position)]
            alive[members] = True
    return classes.candidates & ~alive


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


def masked_copy(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    """The network with zeros where the masks say so; what they leave whole is shared with it."""
    tensors = {}
    for name, tensor in model.named_parameters():
        value = tensor.detach()
        if name in masks and not all_true(masks[name]):
            mask = masks[name].to(value.device)
            if _is_unmasked(value, mask):
                value = torch.where(mask, value, 0)
        tensors[name] = value
    return rebuild(model, tensors)


def _is_unmasked(value: Tensor, mask: Tensor) -> bool:
    """Whether anything but zeros lies where the mask is False; a few are asked before all."""
    step = max(1, value.numel() // FEW)
    few = value.reshape(-1)[::step].bool() > mask.reshape(-1)[::step]
    return any_true(few) or any_true(value.bool() > mask)
