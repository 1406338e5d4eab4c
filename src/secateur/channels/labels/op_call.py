"""One call of a torch function, as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import Axis, Layout, Vector

if TYPE_CHECKING:
    from secateur.channels.tracing.recorder import Tape


@dataclass(eq=False, slots=True)
class Call:
    """One call of a torch function, as its rule sees it."""

    tape: Tape
    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any = None
    inputs: dict[int, Layout] = field(default_factory=dict)
    lengths: list[Vector] = field(default_factory=list)
    orders: list[Tensor] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The module in which the call was made."""
        return self.tape.path

    def arg(self, position: int, keyword: str, default: Any = None) -> Any:
        """An argument, wherever it was passed."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(keyword, default)

    def rest(self, position: int, keyword: str) -> Any:
        """A tuple of numbers, whether it was passed as one tuple or spread out."""
        value = self.arg(position, keyword)
        if isinstance(value, int) and position < len(self.args):
            return tuple(self.args[position:])
        return value

    def layout(self, tensor: Tensor) -> Layout:
        """The layout of an argument, as it was before the call."""
        known = self.inputs.get(id(tensor))
        return self.tape.layout(tensor) if known is None else known

    def pin(self, axis: Axis | None, reason: str = "") -> None:
        """Hold an axis in place."""
        if axis is not None:
            operator = f"{self.name} ({reason})" if reason else self.name
            self.tape.ties.pin(axis.labels, operator, self.path)

    def pin_axes(self, layout: Layout, besides: Sequence[int] = (), reason: str = "") -> None:
        """Hold every axis of a layout in place, besides some."""
        kept = {position % len(layout.axes) for position in besides}
        for position, axis in enumerate(layout.axes):
            if position not in kept:
                self.pin(axis, reason)

    def tie(self, left: Axis | None, right: Axis | None) -> Axis | None:
        """Bind two axes of the same length, and give what they have in common."""
        if left is None or right is None:
            self.pin(left, "with a fixed axis")
            self.pin(right, "with a fixed axis")
            return None
        if left.size != right.size:
            self.pin(left, "lengths differ")
            self.pin(right, "lengths differ")
            return None
        self.tape.ties.tie(left.labels, right.labels, self.name, self.path)
        return Axis(np.minimum(left.labels, right.labels), left.const & right.const)

    def bind(self, vector: Vector, other: Vector) -> None:
        """Bind two vectors of labels."""
        self.tape.ties.tie(vector, other, self.name, self.path)

    def count(self, **counts: Axis | Vector | None) -> None:
        """Name attributes of the running module that count these labels."""
        for name, counted in counts.items():
            labels = counted.labels if isinstance(counted, Axis) else counted
            if labels is not None:
                self.tape.count(name, labels)

    def choose(self, options: int, labels: Vector) -> int:
        """Which of several ways to keep a grid a grid this pass takes."""
        return self.tape.choose(options, labels)


Rule = Callable[[Call], Layout | Sequence[Layout] | None]
