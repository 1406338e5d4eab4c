"""ONNX Runtime: nodes run by a session of the fastest dense engine, where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from secateur.foundation.onnx_session import open_session
from secateur.runtime.compiler.dense import transposed
from secateur.runtime.compiler.graph import JOINTS, Node, NodeKind
from secateur.runtime.compiler.onnx_form import Form, axes_of
from secateur.runtime.compiler.onnx_operators import WRITERS, can_write

OPSET = 17


def available() -> bool:
    """Whether onnx and onnxruntime are installed."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


def can_run(nodes: Iterable[Node]) -> bool:
    """Whether every node can be written in ONNX."""
    return all(can_write(node) for node in nodes)


class OnnxSegment:
    """A run of nodes in one session of ONNX Runtime.

    Args:
        nodes: In order, of the kinds that `can_run` takes.
        outputs: Those of them whose values are needed outside.
        threads: Threads inside one operator.
        spins: Whether they go on turning after a pass, as is usual: the next pass starts sooner,
            but whatever else runs in between has the cores for itself only if they do not.

    Attributes:
        reads: The nodes outside whose values it takes.
        writes: The nodes whose values it makes.
    """

    def __init__(
        self, nodes: Sequence[Node], outputs: Sequence[Node], *, threads: int, spins: bool
    ) -> None:
        inside = set(nodes)
        read = dict.fromkeys(value for node in nodes for value in node.inputs)
        self.reads = tuple(node for node in read if node not in inside)
        self.writes = tuple(outputs)
        writer = _Writer(nodes, self.reads, self.writes)
        self._session = open_session(writer.model(), threads, spins=spins)
        self._inputs = [writer.names[node] for node in self.reads]
        self._outputs = [writer.names[node] for node in self.writes]

    def run(self, values: Sequence[Tensor]) -> list[Tensor]:
        """From the values of `reads` to those of `writes`."""
        feed = {
            n: value.contiguous().numpy() for n, value in zip(self._inputs, values, strict=True)
        }
        return [torch.from_numpy(made) for made in self._session.run(self._outputs, feed)]

    def release(self) -> None:
        """What a session keeps goes with it."""


class _Writer:
    """Writes nodes as an ONNX graph with a dynamic batch axis."""

    def __init__(
        self, nodes: Sequence[Node], reads: Sequence[Node], writes: Sequence[Node]
    ) -> None:
        self.names = {node: f"v{place}" for place, node in enumerate((*reads, *nodes))}
        self._reads, self._writes = reads, writes
        self._operators: list[Any] = []
        self._constants: list[Any] = []
        for node in nodes:
            inputs = [self.names[value] for value in node.inputs]
            output = self.names[node]
            before = f"{output}_before_relu" if node.relu else output
            _WRITERS[node.kind](self, node, inputs, before)
            if node.relu:
                self.put("Relu", [before], output)

    def model(self) -> bytes:
        """The serialized model."""
        from onnx import TensorProto, helper

        def value(node: Node) -> Any:
            first, *rest = axes_of(node) or (None,)
            axes = ["batch" if node.shape is not None else first, *rest]
            return helper.make_tensor_value_info(self.names[node], TensorProto.FLOAT, axes)

        graph = helper.make_graph(
            self._operators,
            "segment",
            [value(node) for node in self._reads],
            [value(node) for node in self._writes],
            self._constants,
        )
        opset = helper.make_opsetid("", OPSET)
        # The lowest version that has this opset: any onnxruntime of today reads it.
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        return bytes(model.SerializeToString())

    def put(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """Add an operator."""
        from onnx import helper

        self._operators.append(helper.make_node(kind, inputs, [output], **attributes))

    def constant(self, values: Any) -> str:
        """Add a constant and name it."""
        from onnx import numpy_helper

        array = values.numpy() if isinstance(values, Tensor) else np.asarray(values, np.int64)
        array = array if array.flags.c_contiguous else array.copy()
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return name


def _both_sides(padding: Sequence[int]) -> list[int]:
    return [*padding, *padding]


def _conv(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    constants = [writer.constant(t) for t in (node.matrix, node.bias) if t is not None]
    writer.put(
        "Conv",
        [*inputs, *constants],
        output,
        strides=node.options["stride"],
        pads=_both_sides(node.options["padding"]),
        dilations=node.options["dilation"],
        group=node.options["groups"],
    )


def _conv_transpose(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    weights = [writer.constant(t) for t in (transposed(node), node.bias) if t is not None]
    writer.put(
        "ConvTranspose",
        [*inputs, *weights],
        output,
        output_padding=node.options["output_padding"],
        strides=node.options["stride"],
        pads=_both_sides(node.options["padding"]),
        dilations=node.options["dilation"],
        group=node.options["groups"],
    )


def _linear(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    if node.rows:
        product = output if node.bias is None else f"{output}_product"
        writer.put("MatMul", [*inputs, writer.constant(node.matrix.t())], product)
        if node.bias is not None:
            writer.put("Add", [product, writer.constant(node.bias)], output)
        return
    constants = [writer.constant(t) for t in (node.matrix, node.bias) if t is not None]
    writer.put("Gemm", [*inputs, *constants], output, transB=1)


def _simple(kind: str) -> Callable[[_Writer, Node, list[str], str], None]:
    def write(writer: _Writer, _node: Node, inputs: list[str], output: str) -> None:
        writer.put(kind, inputs, output)

    return write


def _affine(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    per_channel = (-1, *[1] * (len(node.sizes) - 1))
    scale, shift = (writer.constant(t.view(per_channel)) for t in node.scale_and_shift)
    writer.put("Mul", [*inputs, scale], f"{output}_scaled")
    writer.put("Add", [f"{output}_scaled", shift], output)


def _max_pool(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.put("MaxPool", inputs, output, dilations=node.options["dilation"], **_window(node))


def _avg_pool(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    counted = int(node.options["count_padding"])
    writer.put("AveragePool", inputs, output, count_include_pad=counted, **_window(node))


def _window(node: Node) -> dict[str, Any]:
    return {
        "kernel_shape": node.options["kernel"],
        "strides": node.options["stride"],
        "pads": _both_sides(node.options["padding"]),
    }


def _select(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    (value,), before = node.inputs, node.options["before"]
    after = node.sizes[0] - value.sizes[0] - before
    ends = writer.constant([2**31 - 1] * 2)
    steps = writer.constant(node.options["stride"])
    axes, starts = writer.constant([2, 3]), writer.constant([0, 0])
    writer.put("Slice", [*inputs, starts, ends, axes, steps], f"{output}_sliced")
    sizes = writer.constant([0, before, 0, 0, 0, after, 0, 0])
    writer.put("Pad", [f"{output}_sliced", sizes], output)


def _reshape(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    shape = writer.constant([-1, *node.sizes])
    writer.put("Reshape", [*inputs, shape], output)


def _torch(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    WRITERS[node.options["operator"]](Form(writer, node, inputs, output))


_WRITERS: dict[NodeKind, Callable[[_Writer, Node, list[str], str], None]] = {
    NodeKind.CONV: _conv,
    NodeKind.CONV_3D: _conv,
    NodeKind.CONV_TRANSPOSE: _conv_transpose,
    NodeKind.LINEAR: _linear,
    NodeKind.RELU: _simple("Relu"),
    NodeKind.ADD: _simple("Add"),
    NodeKind.AFFINE: _affine,
    NodeKind.MAX_POOL: _max_pool,
    NodeKind.AVG_POOL: _avg_pool,
    NodeKind.SELECT: _select,
    NodeKind.RESHAPE: _reshape,
    **dict.fromkeys(JOINTS, _torch),
    NodeKind.TORCH: _torch,
}
