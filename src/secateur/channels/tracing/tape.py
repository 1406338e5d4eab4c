"""The tape: what a pass of a network has shown, operator by operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from secateur.channels.float64 import UNCHANGED, WIDER, Wider
from secateur.channels.labels.axis_labels import TensorLabels, Vector
from secateur.channels.labels.constraints import Ties
from secateur.channels.labels.events import (
    Attribute,
    Hold,
    Pass,
    Place,
    Read,
    Roles,
    SplitChoice,
    Step,
)
from secateur.foundation.own_tensors import own_tensors

MANY = 16


class Tape:
    """What was written down of one pass, or of two.

    Args:
        model: The network, whose tensors get their labels.
        constants: What is constant for every input is followed.
        choices: Which way to take at each choice, by its place.
        wider: The type that each type becomes, where constants are followed.

    Attributes:
        ties: What can only go together, and what may not go.
        roles: Which labels layers compute and read.
        reads: Places that sum over channels.
        steps: The calls.
        asked: Layouts of which Python was told a length.
        multiples: Labels whose number must stay a multiple.
        choices: Where an axis was split, and the way that was taken.
        counts: The modules' own numbers that rules know to count labels.
        parameters: The layouts of the network's own tensors, by name.
        told: What the report says of numbers and branches, by line of the user's code.
        orders: By buffer, the labels that its numbers are.
        passes: The runs, in evaluation and in training mode.
        outputs: What each gave, where constants are followed.
        wider: The type that each type became.
        device: Where the network lies.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        constants: bool = False,
        choices: Mapping[Place, int] | None = None,
        wider: Wider = WIDER,
    ) -> None:
        self.constants = constants
        self.wider = wider if constants else UNCHANGED
        self.device = next((one.device for one in model.parameters()), torch.device("cpu"))
        self.ties = Ties()
        self.roles = Roles()
        self.reads: list[Read] = []
        self.steps: list[Step] = []
        self.asked: list[TensorLabels] = []
        self.multiples: list[tuple[Vector, int]] = []
        self.choices: list[SplitChoice] = []
        self.counts: dict[tuple[str, str], Attribute] = {}
        self.stack: list[str] = []
        self.parameters: dict[str, TensorLabels] = {}
        self.told: dict[str, str] = {}
        self.orders: dict[str, Vector] = {}
        self.passes: list[Pass] = []
        self.outputs: list[list[Tensor]] = []
        self._preset = choices or {}
        self._lists: tuple[list[Any], ...] = (
            *(self.ties.left, self.ties.right, self.ties.pins, self.roles.writes),
            *(
                self.roles.reads,
                self.roles.heads,
                self.reads,
                self.steps,
                self.asked,
                self.choices,
                self.passes,
            ),
            self.outputs,
        )
        for name, tensor in own_tensors(model):
            axes = (self.ties.fresh(n) if n > 1 else None for n in tensor.shape)
            given = not isinstance(tensor, nn.Parameter)
            self.parameters[name] = TensorLabels(
                tuple(axes), constant=True, may_be_nonzero=given, given=given
            )

    @property
    def path(self) -> str:
        """The module that is running."""
        return self.stack[-1] if self.stack else ""

    def mark(self) -> tuple[int, ...]:
        """How long every list is now."""
        return self.ties.count, *map(len, self._lists), len(self.counts)

    def rewind(self, mark: tuple[int, ...]) -> None:
        """Forget what was written down behind a mark."""
        self.ties.count = mark[0]
        for one, length in zip(self._lists, mark[1:-1], strict=True):
            del one[length:]
        self.counts = dict(list(self.counts.items())[: mark[-1]])

    def choose(self, options: int, labels: Vector) -> int:
        """Take the preset way, or the first."""
        step = len(self.steps)
        place = (step, sum(choice.place[0] == step for choice in self.choices[-MANY:]))
        taken = min(self._preset.get(place, 0), options - 1)
        self.choices.append(SplitChoice(place, options, taken, labels))
        return taken

    def is_counted(self, name: str) -> bool:
        """Whether an attribute of the running module is known to count labels."""
        return (self.path, name) in self.counts

    def hold(self, number: int, strength: int) -> None:
        """Hold the channels of a step in place, see `Hold`; it may be held again, harder."""
        step = self.steps[number]
        if strength == Hold.PAIR:
            for labels in step.lengths[1:]:
                if labels.size == step.lengths[0].size:
                    self.ties.tie(step.lengths[0], labels, step.name, step.path)
        elif strength == Hold.LENGTHS:
            for labels in step.lengths:
                self._hold_labels(labels, step)
        elif strength == Hold.ALL:
            for layout in [*step.inputs, *(out[0] for out in step.outputs)]:
                for axis in layout.axes:
                    if axis is not None:
                        self._hold_labels(axis.labels, step)

    def _hold_labels(self, labels: Vector, step: Step) -> None:
        self.ties.pin(labels, f"{step.name} (a size written in the code)", step.path)
