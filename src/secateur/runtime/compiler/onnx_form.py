"""Form: one use of an operator that is written in ONNX, its values by their names there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from secateur.runtime.compiler.graph import Node, Read


class Sink(Protocol):
    """Where ONNX operators are put down; see `secateur.runtime.compiler.onnx`."""

    def put(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """Add an operator."""

    def constant(self, values: Any) -> str:
        """Add a constant, of fp32 as a tensor, of integers as a list, and name it."""


class Form:
    """One use of an operator: its arguments, as names in the ONNX graph where they are values."""

    def __init__(self, sink: Sink, node: Node, inputs: Sequence[str], output: str) -> None:
        self.sink = sink
        self.node = node
        self.given: Mapping[str, Any] = node.options["given"]
        self.output = output
        self.rank = len(axes_of(node) or ())
        self._inputs = inputs
        self._steps = 0

    def put(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """Add an operator, and name its output; `to` is that of the whole."""
        self._steps += 1
        output = to or f"{self.output}_{self._steps}"
        self.sink.put(kind, inputs, output, **attributes)
        return output

    def name(self, given: Any) -> str:
        """A value, a tensor or a number, by its name."""
        if isinstance(given, Read):
            return self._inputs[given.place]
        tensor = given if isinstance(given, Tensor) else torch.tensor(float(given))
        return self.sink.constant(tensor.float())

    def axes(self, given: Any, rank: int = 0) -> list[int]:
        """Axes, counted from the front."""
        sizes = [given] if isinstance(given, int) else list(given)
        return [axis % (rank or self.rank) for axis in sizes]


def axes_of(node: Node) -> tuple[int | None, ...] | None:
    """All axes of a value in fp32; None of any other value."""
    return (None, *node.shape) if node.shape is not None else node.dims
