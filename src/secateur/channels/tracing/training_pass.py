"""Training pass: a network may do something else in training mode, and then that is traced too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from secateur.channels.labels.events import Step
from secateur.channels.tracing.channel_classes import find_classes
from secateur.channels.tracing.cut import Cut
from secateur.channels.tracing.dry_run import skeleton, trains_alike
from secateur.channels.tracing.recorder import Recorder
from secateur.channels.tracing.run import record_pass
from secateur.channels.tracing.tape import Tape
from secateur.errors import ChannelError
from secateur.foundation.run_example import Inputs, arguments


def record_training(tape: Recorder, model: nn.Module, example_inputs: Inputs) -> str:
    """Run the network in training mode too; keep the pass where it is another one.

    Returns:
        Why it could not run in training mode, if it could not.
    """
    classes = find_classes(tape)
    nothing = Cut(tape, classes, np.zeros_like(classes.pinned))
    args, kwargs = arguments(example_inputs)
    if trains_alike(skeleton(model, nothing), nothing, args, kwargs):
        return ""
    mark, evaluated = tape.mark(), _signatures(tape, tape.steps)
    try:
        record_pass(tape, model, example_inputs, training=True)
    except ChannelError as error:
        tape.rewind(mark)
        return f"{error.subject} is {error.given}"
    if _signatures(tape, tape.steps[tape.passes[1].start :]) == evaluated:
        tape.rewind(mark)
    return ""


def _signatures(tape: Tape, steps: Sequence[Step]) -> list[tuple[object, ...]]:
    """What is the same of each step in two passes that do the same."""
    own = {id(layout): name for name, layout in tape.parameters.items()}
    return [
        (
            step.name,
            step.path,
            tuple(own.get(id(layout)) for layout in step.inputs),
            tuple(out[1:] for out in step.outputs),
        )
        for step in steps
    ]
