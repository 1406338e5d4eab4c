"""One call of a torch function, as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels, Vector
from secateur.channels.labels.constraints import Ties
from secateur.channels.labels.events import Read, Roles


class Recording(Protocol):
    """The pass that a call belongs to, as far as a rule needs it; the tape is one.

    Attributes:
        ties: What can only go together.
        roles: Which labels layers compute and read.
        reads: Places that sum over channels.
        multiples: Labels whose number must stay a multiple.
        constants: Whether constants are followed in this pass.
        orders: By buffer, the labels that its numbers are.
        parameters: The layouts of the network's own tensors, by name.
    """

    ties: Ties
    roles: Roles
    reads: list[Read]
    multiples: list[tuple[Vector, int]]
    constants: bool
    orders: dict[str, Vector]
    parameters: dict[str, TensorLabels]

    @property
    def path(self) -> str:
        """The module that is running."""

    def layout(self, tensor: Tensor) -> TensorLabels:
        """The layout of a tensor."""

    def file(self, tensor: Tensor, layout: TensorLabels) -> None:
        """Note the layout of a tensor."""

    def choose(self, options: int, labels: Vector) -> int:
        """Take one of several ways to keep a grid a grid."""

    def count(self, name: str, labels: Vector) -> None:
        """An attribute of the running module counts these labels, if it fits."""

    def is_counted(self, name: str) -> bool:
        """Whether an attribute of the running module is known to count labels."""

    def name_of(self, tensor: Tensor) -> str | None:
        """The name of one of the network's own tensors."""

    def list_of(self, tensor: Tensor) -> str:
        """The name of a buffer of whole numbers that the network's files hold; empty if none."""

    def is_guard(self, tensor: Tensor) -> bool:
        """Whether a tensor only says what is finite."""


@dataclass(eq=False, slots=True)
class Call:
    """One call of a torch function, as its rule sees it."""

    tape: Recording
    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    out: Any = None
    inputs: dict[int, TensorLabels] = field(default_factory=dict)
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

    def layout(self, tensor: Tensor) -> TensorLabels:
        """The layout of an argument, as it was before the call."""
        known = self.inputs.get(id(tensor))
        return self.tape.layout(tensor) if known is None else known

    def pin(self, axis: AxisLabels | None, reason: str = "") -> None:
        """Hold an axis in place."""
        if axis is not None:
            operator = f"{self.name} ({reason})" if reason else self.name
            self.tape.ties.pin(axis.labels, operator, self.path)

    def pin_axes(self, layout: TensorLabels, besides: Sequence[int] = (), reason: str = "") -> None:
        """Hold every axis of a layout in place, besides some."""
        kept = {position % len(layout.axes) for position in besides}
        for position, axis in enumerate(layout.axes):
            if position not in kept:
                self.pin(axis, reason)

    def tie(self, left: AxisLabels | None, right: AxisLabels | None) -> AxisLabels | None:
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
        return AxisLabels(np.minimum(left.labels, right.labels), left.const & right.const)

    def bind(self, vector: Vector, other: Vector) -> None:
        """Bind two vectors of labels."""
        self.tape.ties.tie(vector, other, self.name, self.path)

    def count(self, **counts: AxisLabels | Vector | None) -> None:
        """Name attributes of the running module that count these labels."""
        for name, counted in counts.items():
            labels = counted.labels if isinstance(counted, AxisLabels) else counted
            if labels is not None:
                self.tape.count(name, labels)

    def choose(self, options: int, labels: Vector) -> int:
        """Which of several ways to keep a grid a grid this pass takes."""
        return self.tape.choose(options, labels)


Rule = Callable[[Call], TensorLabels | Sequence[TensorLabels] | None]
