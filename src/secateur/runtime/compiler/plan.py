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
        segments: In order; together they make the values of the graph's outputs.
    """

    def __init__(self, graph: Graph, segments: Sequence[Runner]) -> None:
        self._segments = tuple(segments)
        made = [*graph.sources, *(node for segment in segments for node in segment.writes)]
        places = {node: place for place, node in enumerate(made)}
        self._outputs = [_place(places, output) for output in graph.outputs]
        self._alone = len(graph.outputs) == 1
        self._size = len(made)
        self._whole = self._of_one_segment(graph)
        kept = {place for place, _ in self._outputs}
        last = {
            node: step for step, s in enumerate(segments) for node in map(_home(places), s.reads)
        }
        self._steps = [
            _Step(
                segment.run,
                tuple(_place(places, node) for node in segment.reads),
                tuple(places[node] for node in segment.writes),
                tuple(places[n] for n, at in last.items() if at == step and places[n] not in kept),
            )
            for step, segment in enumerate(segments)
        ]

    def __call__(self, *inputs: Tensor) -> Any:
        """From batches of inputs to the outputs: a list, or, of one alone, that tensor."""
        made = self._in_steps(inputs) if self._whole is None else self._whole(inputs)
        return made[0] if self._alone else made

    def _in_steps(self, inputs: Sequence[Tensor]) -> list[Any]:
        held: list[Any] = [*inputs, *[None] * (self._size - len(inputs))]
        for step in self._steps:
            values = [_shaped(held[place], shape) for place, shape in step.reads]
            for place, value in zip(step.writes, step.run(values), strict=True):
                held[place] = value
            for place in step.done:
                held[place] = None
        return [_shaped(held[place], shape) for place, shape in self._outputs]

    def _of_one_segment(self, graph: Graph) -> Callable[[Sequence[Any]], list[Any]] | None:
        """What runs the whole graph from its inputs to its outputs, if one segment does."""
        if len(self._segments) != 1 or any(shape is not None for _, shape in self._outputs):
            return None
        (segment,) = self._segments
        whole = segment.reads == graph.sources and segment.writes == graph.outputs
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


def _shaped(value: Any, shape: tuple[int, ...] | None) -> Any:
    return value if shape is None else value.reshape(-1, *shape)


def plan(
    graph: Graph,
    sides: Mapping[Node, Side],
    make: Maker,
    *,
    is_dense: Callable[[Node], bool] = lambda _: False,
) -> Plan:
    """Cut a graph where the side changes.

    What is no layer joins the side that its first input comes from, so that values cross from one
    engine to another as rarely as may be. The kernels take rows and images in segments of their
    own, and none in which there is no layer.

    Args:
        graph: What to run.
        sides: Layer -> its side.
        make: Builds the runner of a segment.
        is_dense: Whether the dense engine can run a node that the kernels cannot.
    """
    groups: list[_Group] = []
    whose: dict[Node, Side] = {}
    skipped = set()
    for node in graph.inner:
        side = whose[node] = _side(node, sides, whose, is_dense)
        lead = node.lead or "rows" if node.rows and side is Side.SPARSE else ""
        if node.kind is NodeKind.RESHAPE and side is Side.SPARSE:
            skipped.add(node)
        elif groups and (groups[-1].side, groups[-1].lead) == (side, lead):
            groups[-1].nodes.append(node)
        else:
            groups.append(_Group(side, lead, [node]))
    joined = _joined(groups)
    for group in joined:
        if group.side is not Side.SPARSE:
            group.nodes = _with_reshapes(group.nodes)
    users = [node for node in graph.nodes if node not in skipped]
    made = [make(g.side, g.nodes, _needed(graph, users, g.nodes)) for g in joined]
    return Plan(graph, made)


@dataclass
class _Group:
    """Nodes that follow each other on one side."""

    side: Side
    lead: str
    nodes: list[Node]


def _joined(groups: Sequence[_Group]) -> list[_Group]:
    """Those that the kernels would run without a layer go to whom they stand beside."""
    found: list[_Group] = []
    for place, group in enumerate(groups):
        if group.side is Side.SPARSE and not any(node.is_layer for node in group.nodes):
            beside = [other.side for other in groups[max(place - 1, 0) : place + 2]]
            others = [side for side in beside if side is not Side.SPARSE]
            group = _Group(others[0] if others else group.side, "", group.nodes)
        if found and (found[-1].side, found[-1].lead) == (group.side, group.lead):
            found[-1].nodes.extend(group.nodes)
        else:
            found.append(_Group(group.side, group.lead, [*group.nodes]))
    return found


def _with_reshapes(nodes: Sequence[Node]) -> list[Node]:
    """With the other shapes of what they make that they read themselves.

    They were to be the kernels', which need none.
    """
    found: dict[Node, None] = {}
    for node in nodes:
        for value in node.inputs:
            shapes = []
            while value.kind is NodeKind.RESHAPE and value not in found:
                shapes.append(value)
                (value,) = value.inputs
            if value in found:
                found |= dict.fromkeys(reversed(shapes))
        found[node] = None
    return list(found)


def _side(
    node: Node,
    sides: Mapping[Node, Side],
    whose: Mapping[Node, Side],
    is_dense: Callable[[Node], bool],
) -> Side:
    if node in sides:
        return sides[node]
    if unsupported(node):
        return Side.DENSE if is_dense(node) else Side.TORCH
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
    read = {value for node in outside for value in node.inputs} | set(graph.outputs)
    read |= {root(value) for value in read}
    return [node for node in nodes if node in read]
