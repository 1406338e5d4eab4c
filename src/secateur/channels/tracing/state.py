"""State: what tracing a network has found, and whether its code must be played for a cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from secateur.channels.labels.axis_labels import Flags, TensorLabels
from secateur.channels.labels.constraints import Pin
from secateur.channels.labels.events import Attribute, Place
from secateur.channels.tracing.channel_classes import Classes
from secateur.channels.tracing.tape import Tape


@dataclass(slots=True)
class State:
    """A pass that dry runs have confirmed.

    Attributes:
        tape: The pass.
        classes: Its classes.
        attributes: The modules' own numbers that follow a cut.
        choices: The way taken at each choice.
        holds: Steps with a size written in the code, and how hard their channels are held.
        blamed: Numbers of the writes whose channels break a step that does not touch them.
        nonzero: bool `[classes]`, those that may be non-zero once their weights are zero; None if
            that was not tried.
        modes: The passes that the tape holds: training mode or not.
        note: Why training mode was not traced, where it was not.
        held: Labels that were found to be needed by running a cut, with operator and path.
        unplayable: Steps that a dry run cannot play, whatever is cut (they look at values).
    """

    tape: Tape
    classes: Classes
    attributes: list[Attribute] = field(default_factory=list)
    choices: dict[Place, int] = field(default_factory=dict)
    holds: dict[int, int] = field(default_factory=dict)
    blamed: dict[int, str] = field(default_factory=dict)
    modes: tuple[bool, ...] = (False,)
    note: str = ""
    held: list[Pin] = field(default_factory=list)
    unplayable: frozenset[int] | None = None
    nonzero: Flags | None = None


def is_sized(state: State, cut: Flags) -> bool:
    """Whether the network's code may count channels of these classes, so that it must be played.

    Args:
        state: The pass.
        cut: bool `[classes]`.
    """
    tape, component = state.tape, state.classes.component
    if touches(tape.asked, (), cut, component):
        return True
    return any(
        touches([*step.inputs, *(out[0] for out in step.outputs)], step.lengths, cut, component)
        for step in tape.steps
        if not step.free
    )


def touches(
    layouts: Sequence[TensorLabels], lengths: Sequence[Any], flags: Any, component: Any
) -> bool:
    """Whether any label of these layouts belongs to a class that is flagged."""
    labels = [axis.labels for layout in layouts for axis in layout.axes if axis is not None]
    return any(bool(flags[component[one]].any()) for one in (*labels, *lengths) if np.size(one))
