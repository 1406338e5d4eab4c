"""Plan: a graph cut into segments, each run by one engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from torch import Tensor

from secateur.runtime.compiler.graph import Graph, Node, NodeKind
from secateur.runtime.compiler.lowering import root
from secateur.runtime.compiler.packing import unsupported


class Side(StrEnum):
    """What runs a node."""

    SPARSE = "sparse"
    """The native kernels, which skip zeros."""
    DENSE = "dense"
    """The dense engine: ONNX Runtime where it is installed, else torch."""
    TORCH = "torch"


class Runner(Protocol):
    """A segment, whatever runs it."""

    @property
    def reads(self) -> tuple[Node, ...]:
        """The nodes outside whose values it takes."""

    @property
    def writes(self) -> tuple[Node, ...]:
        """The nodes whose values it makes."""

    def run(self, values: Sequence[Any]) -> list[Any]:
        """From the values of `reads` to those of `writes`."""

    def release(self) -> None:
        """Give back the memory that is kept for the next call."""


Maker = Callable[[Side, Sequence[Node], Sequence[Node]], Runner]
"""From a side, nodes, and those whose values are needed outside, to what runs them."""


@dataclass(frozen=True)
class _Step:
    run: Callable[[Sequence[Any]], list[Any]]
    reads: tuple[tuple[int, tuple[int, ...] | None], ...]
    writes: tuple[int, ...]
    done: tuple[int, ...]


class Plan:
    """Segments in order.

    Args:
        graph: What to run.
        segments: In order; together they make the value of the graph's output.
    """

    def __init__(self, graph: Graph, segments: Sequence[Runner]) -> None:
        self._segments = tuple(segments)
        made = [graph.source, *(node for segment in segments for node in segment.writes)]
        places = {node: place for place, node in enumerate(made)}
        output = graph.output if graph.output in places else root(graph.output)
        self._output = places[output]
        self._shape = None if output is graph.output else graph.output.shape
        self._size = len(made)
        self._whole = self._of_one_segment(graph)
        last = {
            node: step for step, s in enumerate(segments) for node in map(_home(places), s.reads)
        }
        self._steps = [
            _Step(
                segment.run,
                tuple(_place(places, node) for node in segment.reads),
                tuple(places[node] for node in segment.writes),
                tuple(places[n] for n, at in last.items() if at == step and n is not output),
            )
            for step, segment in enumerate(segments)
        ]

    def __call__(self, inputs: Tensor) -> Tensor:
        """From a batch of inputs to the outputs."""
        if self._whole is not None:
            output: Tensor = self._whole([inputs])[0]
            return output
        return self._in_steps(inputs)

    def _in_steps(self, inputs: Tensor) -> Tensor:
        held: list[Any] = [None] * self._size
        held[0] = inputs
        for step in self._steps:
            values = [
                held[place] if shape is None else held[place].reshape(-1, *shape)
                for place, shape in step.reads
            ]
            for place, value in zip(step.writes, step.run(values), strict=True):
                held[place] = value
            for place in step.done:
                held[place] = None
        output: Tensor = held[self._output]
        return output if self._shape is None else output.reshape(-1, *self._shape)

    def _of_one_segment(self, graph: Graph) -> Callable[[Sequence[Any]], list[Any]] | None:
        """What runs the whole graph from its input to its output, if one segment does."""
        if len(self._segments) != 1 or self._shape is not None:
            return None
        (segment,) = self._segments
        whole = segment.reads == (graph.source,) and segment.writes == (graph.output,)
        return segment.run if whole else None

    def release(self) -> None:
        """Give back the memory that is kept for the next call."""
        for segment in self._segments:
            segment.release()


def _home(places: Mapping[Node, int]) -> Callable[[Node], Node]:
    return lambda node: node if node in places else root(node)


def _place(places: Mapping[Node, int], node: Node) -> tuple[int, tuple[int, ...] | None]:
    """Where a value is held, and under which shape it is wanted if another."""
    return (places[node], None) if node in places else (places[root(node)], node.shape)


def plan(graph: Graph, sides: Mapping[Node, Side], make: Maker) -> Plan:
    """Cut a graph where the side changes.

    What is no layer joins the side that its first input comes from, so that values cross from one
    engine to another as rarely as may be.

    Args:
        graph: What to run.
        sides: Layer -> its side.
        make: Builds the runner of a segment.
    """
    groups: list[tuple[Side, list[Node]]] = []
    whose: dict[Node, Side] = {}
    skipped = set()
    for node in graph.nodes[1:]:
        side = whose[node] = _side(node, sides, whose)
        if node.kind is NodeKind.RESHAPE and side is Side.SPARSE:
            skipped.add(node)
        elif groups and groups[-1][0] is side:
            groups[-1][1].append(node)
        else:
            groups.append((side, [node]))
    users = [node for node in graph.nodes if node not in skipped]
    return Plan(graph, [make(side, nodes, _needed(graph, users, nodes)) for side, nodes in groups])


def _side(node: Node, sides: Mapping[Node, Side], whose: Mapping[Node, Side]) -> Side:
    if node in sides:
        return sides[node]
    if unsupported(node):
        return Side.TORCH
    before = whose.get(node.inputs[0])
    if node.kind is NodeKind.RESHAPE and before is Side.TORCH:
        return before
    if before is None or before is Side.TORCH:
        return Side.DENSE if Side.SPARSE not in sides.values() else Side.SPARSE
    return before


def _needed(graph: Graph, users: Sequence[Node], nodes: Sequence[Node]) -> list[Node]:
    """Those of the nodes whose values are read outside."""
    inside = set(nodes)
    outside = (node for node in users if node not in inside)
    read = {value for node in outside for value in node.inputs} | {graph.output}
    read |= {root(value) for value in read}
    return [node for node in nodes if node in read]
