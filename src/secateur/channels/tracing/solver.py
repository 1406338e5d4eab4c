"""Solver: tape, classes and attributes of a network whose own code follows every cut.

A pass may take a wrong turn where an axis can be kept a grid in more than one way (whole heads, or
the width of every head), or meet sizes written in the code. So it is repeated, each time with what
the dry run found: an attribute that counts channels, another turn, or a pin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from secateur.channels.labels.axis_labels import Flags
from secateur.channels.labels.events import Hold
from secateur.channels.tracing.attribute_search import dry_run_cut, unplayable
from secateur.channels.tracing.channel_classes import find_classes
from secateur.channels.tracing.cut import Cut, random_cut
from secateur.channels.tracing.run import record
from secateur.channels.tracing.state import State, is_sized
from secateur.channels.tracing.tape import Tape
from secateur.channels.tracing.training_pass import record_training
from secateur.channels.tracing.zero_check import inexact
from secateur.errors import ChannelError
from secateur.foundation.run_example import Inputs

ROUNDS = 12
SEEDS = (0, 1, 2)
_UNFINISHED = (
    f"After {ROUNDS} rounds, dry runs still found sizes that follow no cut: expect a smaller one."
)


def solve(
    model: nn.Module,
    example_inputs: Inputs,
    *,
    constants: bool = False,
    known: State | None = None,
    exact: bool = True,
) -> State:
    """Trace a network until no dry run finds anything more, or for `ROUNDS` rounds at most.

    A network that is not done by then is traced as far as it was understood, and its note says so:
    the very cut that `prune` chooses is tried before anything is zeroed, and what does not follow
    is pinned then.

    Args:
        model: The network.
        example_inputs: Its inputs.
        constants: Follow what is constant for every input.
        known: The same network on the same inputs, solved before: what it found is taken over.
        exact: Find out which channels would not leave exactly; it takes two passes in float64.

    Raises:
        ChannelError: The network fails on the example, or branches on the data.
    """
    again = None if known is None else _as_known(model, example_inputs, known, constants=constants)
    if again is not None:
        return again
    tape = record(model, example_inputs, constants=constants)
    notes = [record_training(tape, model, example_inputs), *tape.told.values()]
    note = "\n".join(filter(None, notes))
    modes = tuple(one.training for one in tape.passes)
    state = State(tape, find_classes(tape), modes=modes, note=note)
    return _settled(model, example_inputs, state, constants=constants, exact=exact)


def solve_exactly(model: nn.Module, example_inputs: Inputs, state: State) -> State:
    """Go on with what was solved without `exact`, as if it had been asked for.

    Args:
        model: The network.
        example_inputs: Its inputs.
        state: What was found of them.
    """
    return _settled(model, example_inputs, state, exact=True, followed=not state.held)


def _settled(
    model: nn.Module,
    example_inputs: Inputs,
    state: State,
    *,
    constants: bool = False,
    exact: bool,
    followed: bool = False,
) -> State:
    """Turn, hold and trace again until nothing more is found.

    Args:
        model: The network.
        example_inputs: Its inputs.
        state: What is known of it.
        constants: As for `solve`.
        exact: As for `solve`.
        followed: Random cuts have been played, and all was found to follow.
    """
    for _ in range(ROUNDS):
        sized = not followed and (_turn(state) or _hold(model, example_inputs, state))
        if not (sized or (exact and _turn_inexact(model, example_inputs, state))):
            break
        followed = False
        if any(state.choices.get(one.place, one.taken) != one.taken for one in state.tape.choices):
            state = _again(model, example_inputs, state, constants=constants)
    else:
        state.note = "\n".join(filter(None, [state.note, _UNFINISHED]))
    return state


def _as_known(
    model: nn.Module, example_inputs: Inputs, known: State, *, constants: bool
) -> State | None:
    """Another pass by what is known of the network, if that still fits."""
    try:
        again = _again(model, example_inputs, known, constants=constants)
    except (ChannelError, IndexError):
        return None
    return again if same_pass(again.tape, known.tape) else None


def _again(model: nn.Module, example_inputs: Inputs, state: State, *, constants: bool) -> State:
    """Another pass, with what was found so far."""
    tape = record(
        model,
        example_inputs,
        constants=constants,
        choices=state.choices,
        holds=state.holds,
        modes=state.modes,
    )
    for pin in state.held:
        tape.ties.pin(pin.labels, pin.operator, pin.path)
    for number, reason in state.blamed.items():
        labels, path, _ = tape.roles.writes[number]
        tape.ties.pin(labels, reason, path)
    return replace(state, tape=tape, classes=find_classes(tape), nonzero=None)


def same_pass(one: Tape, other: Tape) -> bool:
    """Whether two passes met the same operators, so that their labels mean the same."""
    return one.ties.count == other.ties.count and [
        (step.name, step.path) for step in one.steps
    ] == [(step.name, step.path) for step in other.steps]


def _turn(state: State) -> bool:
    """Take the next way at every choice that left its channels no freedom."""
    classes = state.classes
    turned = {}
    for choice in state.tape.choices:
        members = classes.of(choice.labels)
        free = np.unique(members[~classes.pinned[members]])
        if free.size < 2 and choice.taken + 1 < choice.options:
            turned[choice.place] = choice.taken + 1
    state.choices = {**state.choices, **turned}
    return bool(turned)


def _hold(model: nn.Module, example_inputs: Inputs, state: State) -> bool:
    """Play random cuts; hold the steps that no attribute can make follow."""
    state.attributes = []
    if not is_sized(state, state.classes.candidates):
        return False
    for seed in SEEDS:
        cut = random_cut(state.tape, state.classes, seed)
        _, failures = dry_run_cut(model, example_inputs, state, cut)
        if failures and state.unplayable is None:
            state.unplayable = unplayable(model, example_inputs, state)
            failures = [number for number in failures if number not in state.unplayable]
        if failures:
            if not _turn_at(state, failures):
                _hold_harder(model, example_inputs, state, failures, seed)
            return True
    return False


def _hold_harder(
    model: nn.Module,
    example_inputs: Inputs,
    state: State,
    failures: Sequence[int],
    seed: int,
) -> None:
    """Hold the steps that fail; where that was tried, find whose channels break them."""
    stubborn = []
    for number in failures:
        mildest = Hold.PAIR if state.tape.steps[number].lengths else Hold.ALL
        strength = state.holds.get(number, mildest - 1)
        if strength == Hold.ALL:
            stubborn.append(number)
            continue
        state.holds[number] = strength + 1
        state.tape.hold(number, strength + 1)
    if len(stubborn) == len(failures):
        _blame(model, example_inputs, state, stubborn, seed)
    state.classes, state.nonzero = find_classes(state.tape), None


def _blame(
    model: nn.Module, example_inputs: Inputs, state: State, stubborn: Sequence[int], seed: int
) -> None:
    """Pin the channels that break steps which do not touch them."""
    whole = random_cut(state.tape, state.classes, seed)
    for write in np.unique(state.classes.written[whole.gone]).tolist():
        only = whole.gone & (state.classes.written == write)
        cut = Cut(state.tape, state.classes, only)
        _, left = dry_run_cut(model, example_inputs, state, cut)
        broken = set(left) & set(stubborn)
        if broken:
            step = state.tape.steps[min(broken)]
            where = step.path or "the model"
            state.blamed[write] = f"{step.name} in {where} (a size written in the code)"
            labels, path, _ = state.tape.roles.writes[write]
            state.tape.ties.pin(labels, state.blamed[write], path)


def _turn_inexact(model: nn.Module, example_inputs: Inputs, state: State) -> bool:
    """Take the next way at choices whose channels, once zeroed, could not leave exactly."""
    if all(choice.taken + 1 == choice.options for choice in state.tape.choices):
        return False
    state.nonzero = inexact(model, example_inputs, state)
    return _turn_touched(state, state.nonzero)


def _turn_at(state: State, failures: Sequence[int]) -> bool:
    """Take the next way at choices whose channels a failing step touches."""
    classes = state.classes
    touched = np.zeros(classes.pinned.size, np.bool_)
    for number in failures:
        for layout, *_ in state.tape.steps[number].outputs:
            for axis in layout.axes:
                if axis is not None:
                    touched[classes.of(axis.labels)] = True
    return _turn_touched(state, touched & ~classes.pinned)


def _turn_touched(state: State, touched: Flags) -> bool:
    turned = {
        choice.place: choice.taken + 1
        for choice in state.tape.choices
        if choice.taken + 1 < choice.options and touched[state.classes.of(choice.labels)].any()
    }
    state.choices = {**state.choices, **turned}
    return bool(turned)
