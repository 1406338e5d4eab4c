"""Run: a network goes once over the example, as it is, and everything is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from secateur.channels.float64 import UNCHANGED, WIDER, double
from secateur.channels.labels.events import Place
from secateur.channels.modes import mode
from secateur.channels.output_comparison import outputs_of
from secateur.channels.rebuild import throwaway
from secateur.channels.sandbox import sandbox
from secateur.channels.source_line import line_of
from secateur.channels.tracing.recorder import Recorder
from secateur.errors import ChannelError
from secateur.foundation.own_error import text_of
from secateur.foundation.run_example import Inputs, arguments, tensors_in


def record(
    model: nn.Module,
    example_inputs: Inputs,
    *,
    constants: bool = False,
    choices: Mapping[Place, int] | None = None,
    holds: Mapping[int, int] | None = None,
    modes: Sequence[bool] = (False,),
) -> Recorder:
    """Run a network once in each mode and write everything down.

    Args:
        model: The network; a copy of it runs.
        example_inputs: Its inputs.
        constants: Follow what is constant for every input, in float64 if the network can.
        choices: Which way to take where an axis splits.
        holds: Steps with a size written in the code, and how hard to hold their channels.
        modes: Training mode or not, for each pass.

    Raises:
        ChannelError: The network fails on the example, or branches on the data.
    """
    wider = WIDER if constants else UNCHANGED
    unsteady: frozenset[str] = frozenset()
    while True:
        tape = Recorder(
            model,
            constants=constants,
            choices=choices,
            holds=holds,
            wider=wider,
            unsteady=unsteady,
        )
        try:
            for training in modes:
                record_pass(tape, model, example_inputs, training=training)
        except ChannelError:
            if wider is UNCHANGED:
                raise
            wider = UNCHANGED
            continue
        if not constants or tape.origins.unsteady <= unsteady:
            return tape
        unsteady = frozenset(tape.origins.unsteady)


def record_pass(
    tape: Recorder, model: nn.Module, example_inputs: Inputs, *, training: bool
) -> None:
    """Run a network once more, in some mode, and write it down behind what is on the tape.

    Raises:
        ChannelError: The network fails on the example, or branches on the data.
    """
    runner = throwaway(model)
    args, kwargs = arguments(double(example_inputs, tape.wider))
    try:
        with sandbox(runner) as keep, mode(runner, training=training):
            tape.begin(runner, keep, training=training)
            for tensor in tensors_in((args, kwargs)):
                tape.take_input(tensor)
            with tape.modules(), tape, tape.unseen():
                outputs = runner(*args, **kwargs)
            tape.look_back(runner)
    except ChannelError:
        raise
    except Exception as failure:
        raise _refused(tape, model, example_inputs, failure, training=training) from failure
    finally:
        tape.end()
    tape.outputs.append(outputs_of(outputs) if tape.constants else [])
    for tensor in tensors_in(outputs):
        for axis in tape.layout(tensor).axes:
            if axis is not None:
                tape.ties.pin(axis.labels, "the network's output", "")


def _refused(
    tape: Recorder, model: nn.Module, example_inputs: Inputs, failure: Exception, *, training: bool
) -> ChannelError:
    """What is to be said of a run that failed: it is the network's fault only if it fails alone."""
    line = line_of(failure)
    words = f"{type(failure).__name__}{line and f' at {line}'}: {text_of(failure)}"
    own = tape.wider is UNCHANGED and not _runs(model, example_inputs, training=training)
    return ChannelError(
        "tracing channels",
        tape.last_path or type(model).__name__,
        given=f"failing on the example inputs ({words})"
        if own
        else f"calling something that tracing cannot follow ({words})",
        expected="a network that runs on them" if own else "operators that a copy can be run with",
        remedy="Pass inputs of the shape and type that the network takes."
        if own
        else "Trace the modules around it one by one, or prune single weights instead.",
    )


def _runs(model: nn.Module, example_inputs: Inputs, *, training: bool) -> bool:
    """Whether the network runs on the example when nobody looks."""
    runner = throwaway(model)
    args, kwargs = arguments(example_inputs)
    try:
        with sandbox(runner), mode(runner, training=training):
            runner(*args, **kwargs)
    except Exception:
        return False
    return True
