"""A cut: classes that leave a traced network, and what is left of its labels and shapes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from secateur.channels.labels.axis_labels import AxisLabels, Flags, TensorLabels, Vector
from secateur.channels.tracing.channel_classes import Classes
from secateur.channels.tracing.tape import Tape


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Classes that leave a traced network.

    Attributes:
        tape: The pass.
        classes: Its classes.
        gone: bool `[classes]`; those that leave.
        stays: bool `[labels]`; the labels that are left.
    """

    tape: Tape
    classes: Classes
    gone: Flags
    stays: Flags = field(init=False)
    _sizes: dict[int, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stays", ~self.gone[self.classes.component])

    def left(self, axis: AxisLabels) -> Vector:
        """The labels along an axis after the cut."""
        return axis.labels[self.stays[axis.labels]]

    def count(self, labels: Vector) -> int:
        """How many of these labels stay."""
        return int(np.count_nonzero(self.stays[labels]))

    def shape(self, layout: TensorLabels, size: torch.Size) -> tuple[int, ...]:
        """The shape after the cut of a tensor that is on the tape."""
        return tuple(
            n if axis is None else self._size(axis)
            for axis, n in zip(layout.axes, size, strict=True)
        )

    def _size(self, axis: AxisLabels) -> int:
        # By identity: the axis belongs to the tape, which lives as long as the cut does.
        known = self._sizes.get(id(axis))
        if known is None:
            known = self._sizes[id(axis)] = self.count(axis.labels)
        return known


def random_cut(tape: Tape, classes: Classes, seed: int) -> Cut:
    """Some of every layer's free classes, more at one end than at the other, never all."""
    generator = np.random.default_rng(seed)
    ratios = np.full(classes.pinned.size, 0.5)
    for number, (labels, _, _) in enumerate(tape.roles.writes):
        first, last = generator.permutation([0.1, 0.9]) if seed else generator.random(2)
        own = classes.of(labels)
        mine = classes.written[own] == number
        ratios[own[mine]] = np.linspace(first, last, labels.size)[mine]
    gone = generator.random(classes.pinned.size) < ratios
    gone &= classes.candidates
    axes = [axis for layout in tape.parameters.values() for axis in layout.axes if axis is not None]
    for labels in (*(axis.labels for axis in axes), *(read.labels for read in tape.reads)):
        members = classes.of(labels)
        if gone[members].all():
            gone[members[0]] = False
    return Cut(tape, classes, gone)
