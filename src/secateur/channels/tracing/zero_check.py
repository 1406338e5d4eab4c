"""Silence: whether a class whose own parameters are zero brings nothing to any reader."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from secateur.channels.compaction.bias_folding import foldable_weights
from secateur.channels.compaction.removable import audible
from secateur.channels.labels.axis_labels import Flags
from secateur.channels.rebuild import rebuild
from secateur.channels.tracing.channel_classes import roles_of
from secateur.channels.tracing.run import Inputs, record
from secateur.channels.tracing.state import Settled

NOT_SILENT = "not silent where it is read once masked"


def inexact(model: nn.Module, example_inputs: Inputs, settled: Settled) -> Flags:
    """Bool `[classes]`: those that a mask would not silence at every reader.

    The candidates are zeroed (weights, biases, norm affines), first one half, then the other, and
    the network runs again; a class that still brings something to a reader that sums over it
    cannot be cut exactly.
    """
    odd = np.arange(settled.classes.pinned.size) % 2 == 1
    doubtful = _doubtful(settled)
    halves = [doubtful & odd, doubtful & ~odd]
    heard = np.zeros(odd.size, np.bool_)
    for half in halves:
        if half.any():
            heard |= half & _heard_when_zeroed(model, example_inputs, settled, half)
    return heard


def _doubtful(settled: Settled) -> Flags:
    """The candidates that reach a reader by operators of which nothing is known."""
    doubtful = np.zeros_like(settled.classes.pinned)
    for read in settled.tape.reads:
        if read.loud:
            doubtful[settled.classes.of(read.labels)] = True
    return doubtful & settled.classes.candidates


def _heard_when_zeroed(
    model: nn.Module, example_inputs: Inputs, settled: Settled, candidates: Flags
) -> Flags:
    classes = settled.classes
    roles = roles_of(settled.tape)
    tensors = {}
    for name, parameter in model.named_parameters():
        value = parameter.detach()
        for position, axis in enumerate(settled.tape.parameters[name].axes):
            if axis is None or roles[name, position] == "read":
                continue
            out = torch.from_numpy(np.flatnonzero(candidates[classes.of(axis.labels)]))
            if out.numel():
                value = value.index_fill(position, out.to(value.device), 0)
        if value is not parameter.detach():
            tensors[name] = value
    silent = rebuild(model, tensors).eval()
    tape = record(
        silent,
        example_inputs,
        constants=True,
        choices=settled.choices,
        holds=settled.holds,
        modes=settled.modes,
    )
    foldable = foldable_weights(silent, tape)
    return audible(tape, classes, foldable=foldable)
