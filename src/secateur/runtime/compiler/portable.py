"""Portable: a network as a plan file, all of whose operators the kernels have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from secateur.errors import ModelError
from secateur.foundation.run_example import Inputs
from secateur.measure.observe import check_batch, check_built
from secateur.runtime.compiler.capture import NotCapturedError, capture
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.graph import Graph, Node, NodeKind
from secateur.runtime.compiler.lowering import Lowering, root
from secateur.runtime.compiler.packing import Packs, unsupported, weight_and_bias
from secateur.runtime.compiler.trial import Trial
from secateur.runtime.compiler.whole import serving_copy
from secateur.runtime.kernels import packs
from secateur.runtime.kernels.structs import Layout, Op, Shape
from secateur.runtime.portable.plan_file import MOST_AXES, OP, Ops, PlanFile, StoredWeight, ops_of

OPERATION = "packaging a network"
_REMEDY = "Export it to ONNX (`secateur export --to onnx`), which ONNX Runtime runs without torch."
_TUNED = {Layout.PLAIN: 1, Layout.LANES: 16}
"""The batch that each form of the plan is packed for; it is right for any."""


def portable_plan(model: nn.Module, example: Inputs) -> PlanFile:
    """Write a network down as ops of the kernels, in both layouts, and their weights.

    Batch norms are folded, ReLUs fused.

    Args:
        model: A network of one tensor in and one out. It is left as it was.
        example: A batch `[N, ...]` that it accepts.

    Raises:
        ModelError: It fails on the example, or an operator has no kernel; the message names it.
        KernelError: There are no kernels here.

    Example:
        >>> import torch
        >>> plan = portable_plan(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), torch.zeros(1, 4))
        >>> plan.inputs, plan.outputs, len(plan.ops), len(plan.weights)
        ((4,), (2,), 1, 1)
    """
    check_built(OPERATION, model)
    check_batch(OPERATION, example)
    graph = _captured(serving_copy(model), example)
    _check_covered(graph)
    sources = _Sources()
    plain, lanes = (_ops(graph, layout, sources) for layout in (Layout.PLAIN, Layout.LANES))
    weights = tuple(sources.weights)
    (source,), (output,) = graph.sources, graph.outputs
    return PlanFile(source.sizes, output.sizes, plain, lanes, weights)


def _captured(net: nn.Module, example: Inputs) -> Graph:
    trial = Trial(net, example)
    structure = trial.structure
    problem = trial.why
    if not structure.alone:
        problem = f"it takes {len(structure.tensors)} tensors in a structure"
    elif not structure.gives_one:
        problem = problem or "its output is no single tensor"
    if problem:
        raise _refused("the network", f"one of which {problem}")
    try:
        return folded(capture(net, *structure.tensors))
    except NotCapturedError as error:
        raise _refused("the network", f"no graph ({error})") from error


def _check_covered(graph: Graph) -> None:
    for node in graph.inner:
        if why := unsupported(node) or ("it works row by row" if node.rows else ""):
            raise _refused(f"the operator {node.name}", f"left to torch ({why})")
    if root(graph.outputs[0]) in graph.sources:
        raise _refused("the network", "one that computes nothing")
    for node in (*graph.sources, *graph.outputs):
        if node.shape is None or len(node.shape) > MOST_AXES:
            raise _refused(
                f"the {node.name}", f"of {len(node.shape or ())} axes, or not in float32"
            )


def _refused(subject: str, given: str) -> ModelError:
    return ModelError(
        OPERATION,
        subject,
        given=given,
        expected="one tensor in, one out, and operators that the kernels have",
        remedy=_REMEDY,
    )


@dataclass
class _Sources(Packs):
    """Packed weights, with what each was made of."""

    weights: list[StoredWeight] = field(default_factory=list)
    _places: dict[Node, int] = field(default_factory=dict)
    _known: dict[int, tuple[int, int]] = field(default_factory=dict)

    def of(self, node: Node, before: Layout, after: Layout, batch: int) -> packs.Pack:
        made = super().of(node, before, after, batch)
        if node not in self._places:
            weight, bias = weight_and_bias(node)
            self._places[node] = self._kept(weight, bias)
        self._known[made.address] = self._places[node], batch
        return made

    def numbers(self, node: Node) -> NDArray[np.float32] | None:
        values = super().numbers(node)
        if values is None:
            return None
        if node not in self._places:
            self._places[node] = self._kept(values, None)
        self._known[values.ctypes.data] = self._places[node], 0
        return values

    def behind(self, op: Op) -> tuple[int, int]:
        """The place of what an op multiplies by, -1 for nothing, and the batch of its pack."""
        return (-1, 0) if op.pack is None else self._known[op.pack]

    def _kept(self, values: NDArray[np.float32], bias: NDArray[np.float32] | None) -> int:
        none = np.zeros(0, np.float32)
        self.weights.append(StoredWeight(values.reshape(-1), none if bias is None else bias))
        return len(self.weights) - 1


def _ops(graph: Graph, layout: Layout, sources: _Sources) -> Ops:
    """All nodes, from buffer 0 to buffer 1, as records of a plan file."""
    nodes = [node for node in graph.inner if node.kind is not NodeKind.RESHAPE]
    outputs = [root(output) for output in graph.outputs]
    made = Lowering(nodes, graph.sources, outputs, layout, _TUNED[layout], sources)
    return ops_of([_row(op, *sources.behind(op)) for op in made.ops])


def _row(op: Op, weight: int, batch: int) -> tuple[Any, ...]:
    values: Mapping[str, Any] = {
        "weight": weight,
        "batch": batch,
        "shape": _numbers(op.shape),
        "reserved": 0,
    }
    return tuple(values.get(name, getattr(op, name, 0)) for name in OP.names or ())


def _numbers(shape: Shape) -> Sequence[int]:
    return tuple(getattr(shape, name) for name, _ in Shape._fields_)
