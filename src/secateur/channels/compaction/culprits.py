"""Culprits: which channels a network cannot do without, where a cut changed its function.

What the operator that differs touches is tried first. Where that is not it (a width that became a
number long before), the cut is made of ever larger parts that are known to be right, so that what
is left over is small.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from secateur.channels.compaction.first_difference import Place
from secateur.channels.labels.axis_labels import Flags, Vector
from secateur.channels.tracing.channel_classes import Classes
from secateur.channels.tracing.cut import Cut

TRIES = 48

Holds = Callable[[Flags], bool]


def culprits(cut: Cut, place: Place, is_right: Holds) -> Flags:
    """Bool `[classes]`: classes that leave in this cut and have to stay.

    Args:
        cut: The cut that made the network another function.
        place: The first operator that differed.
        is_right: Whether the network is the same function when these classes stay.
    """
    touched = _touched(cut, place)
    if touched.any() and is_right(touched):
        return touched
    suspects = _suspects(cut, place)
    if not is_right(suspects):
        suspects = cut.gone.copy()
    return _Search(cut, suspects, is_right).found()


def _touched(cut: Cut, place: Place) -> Flags:
    """The leaving classes that the operator reads or gives."""
    flags = np.zeros_like(cut.gone)
    if place.number is None:
        return flags
    step = cut.tape.steps[place.number]
    for layout in [*step.inputs, *(out[0] for out in step.outputs)]:
        for axis in layout.axes:
            if axis is not None:
                flags[cut.classes.of(axis.labels)] = True
    return flags & cut.gone


def _suspects(cut: Cut, place: Place) -> Flags:
    """The leaving classes that occur before the operator: others cannot have changed it."""
    if place.number is None:
        return cut.gone.copy()
    flags = np.zeros_like(cut.gone)
    for step in cut.tape.steps[: place.number + 1]:
        for layout in [*step.inputs, *(out[0] for out in step.outputs)]:
            for axis in layout.axes:
                if axis is not None:
                    flags[cut.classes.of(axis.labels)] = True
    return flags & cut.gone


class _Search:
    """Lets suspects leave, by halves, as long as the function stays the same."""

    def __init__(self, cut: Cut, suspects: Flags, is_right: Holds) -> None:
        order = np.flatnonzero(suspects)
        self._classes: Classes = cut.classes
        self._order = order[np.argsort(cut.classes.written[order], kind="stable")]
        self._stays = suspects.copy()
        self._is_right, self._tries = is_right, TRIES

    def found(self) -> Flags:
        """What must stay."""
        self._release(self._order)
        return self._stays

    def _release(self, some: Vector) -> None:
        if some.size == 0 or self._tries == 0:
            return
        if some.size < self._order.size and self._leaves(some):
            return
        if some.size == 1:
            return
        left, right = self._halves(some)
        self._release(left)
        if self._stays[left].all() and self._is_one_layer(some):
            return
        self._release(right)

    def _leaves(self, some: Vector) -> bool:
        """Whether these can leave beside all that leaves already; then they do."""
        self._tries -= 1
        self._stays[some] = False
        if self._is_right(self._stays):
            return True
        self._stays[some] = True
        return False

    def _halves(self, some: Vector) -> tuple[Vector, Vector]:
        """Two parts, each of whole layers where there is more than one."""
        written = self._classes.written[some]
        middle = some.size // 2
        if not self._is_one_layer(some):
            borders = np.flatnonzero(np.diff(written)) + 1
            middle = int(borders[np.argmin(abs(borders - middle))])
        return some[:middle], some[middle:]

    def _is_one_layer(self, some: Vector) -> bool:
        return bool(np.ptp(self._classes.written[some]) == 0)
