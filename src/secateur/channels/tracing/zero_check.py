"""Zero check: whether a class whose own parameters are zero brings nothing to any reader."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import nn

from secateur.channels.labels.axis_labels import Flags
from secateur.channels.labels.events import Read
from secateur.channels.rebuild import rebuild
from secateur.channels.tracing.channel_classes import Classes, foldable_weights, roles_of
from secateur.channels.tracing.run import record
from secateur.channels.tracing.state import State
from secateur.channels.tracing.tape import Tape
from secateur.foundation.run_example import Inputs

MAY_BE_NONZERO = "may be non-zero where it is read once masked"


def inexact(model: nn.Module, example_inputs: Inputs, state: State) -> Flags:
    """Bool `[classes]`: those that may be non-zero at some reader once masked.

    The candidates are zeroed (weights, biases, norm affines), first one half, then the other, and
    the network runs again; a class that still brings something to a reader that sums over it
    cannot be cut exactly.
    """
    odd = np.arange(state.classes.pinned.size) % 2 == 1
    doubtful = _doubtful(state)
    halves = [doubtful & odd, doubtful & ~odd]
    found = np.zeros(odd.size, np.bool_)
    for half in halves:
        if half.any():
            found |= half & _nonzero_when_zeroed(model, example_inputs, state, half)
    return found


def _doubtful(state: State) -> Flags:
    """The candidates that reach a reader by operators of which nothing is known."""
    doubtful = np.zeros_like(state.classes.pinned)
    for read in state.tape.reads:
        if read.may_be_nonzero:
            doubtful[state.classes.of(read.labels)] = True
    return doubtful & state.classes.candidates


def _nonzero_when_zeroed(
    model: nn.Module, example_inputs: Inputs, state: State, candidates: Flags
) -> Flags:
    classes = state.classes
    roles = roles_of(state.tape)
    tensors = {}
    for name, parameter in model.named_parameters():
        value = parameter.detach()
        for position, axis in enumerate(state.tape.parameters[name].axes):
            if axis is None or roles[name, position] == "read":
                continue
            out = torch.from_numpy(np.flatnonzero(candidates[classes.of(axis.labels)]))
            if out.numel():
                value = value.index_fill(position, out.to(value.device), 0)
        if value is not parameter.detach():
            tensors[name] = value
    zeroed = rebuild(model, tensors).eval()
    tape = record(
        zeroed,
        example_inputs,
        constants=True,
        choices=state.choices,
        holds=state.holds,
        modes=state.modes,
    )
    foldable = foldable_weights(zeroed, tape)
    return bringing(tape, classes, foldable=foldable)


def bringing(tape: Tape, classes: Classes, *, foldable: Collection[str]) -> Flags:
    """Bool `[classes]`: those that bring a reader something else than a foldable constant.

    Unlike `removable` this does not ask whether the reader multiplies it by zero.
    """
    found = np.zeros(classes.pinned.size, np.bool_)
    for read in tape.reads:
        found[classes.of(read.labels)[~is_needless(read, foldable)]] = True
    return found & classes.candidates


def is_needless(read: Read, foldable: Collection[str]) -> Flags:
    """Bool `[k]`: what the index brings is zero, or a constant that a bias can take over."""
    zero = read.values == 0
    if read.weight in foldable:
        zero = ~np.isnan(read.values)
    needless: Flags = read.always_zero | zero
    return needless
