"""The weights of an ONNX graph: which node multiplies by which tensor, quantised or not.

A quantised weight is zero where it equals its zero point, which may be one for all or one for each
channel or block. Scales and zero points say how to read it, and are no parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose", "ConvInteger", "QLinearConv"})
GEMMS = frozenset({"Gemm", "QGemm"})

# Operator -> where its weight, the zero point of it, and its bias stand; -1 for nowhere.
_PLACES = {
    "Conv": (1, -1, 2),
    "ConvTranspose": (1, -1, 2),
    "Gemm": (1, -1, 2),
    "MatMul": (1, -1, -1),
    "ConvInteger": (1, 3, -1),
    "MatMulInteger": (1, 3, -1),
    "MatMulIntegerToFloat": (1, 5, 6),
    "DynamicQuantizeMatMul": (1, 3, 4),
    "QLinearConv": (3, 5, 8),
    "QLinearMatMul": (3, 5, -1),
    "QGemm": (3, 5, 6),
}
_MOVES = ("Transpose", "Identity", "Reshape", "Cast")


@dataclass(frozen=True)
class Weight:
    """What a graph does with a stored tensor.

    Attributes:
        node: The node that multiplies by it; None for a bias, or what is only read.
        zero_point: The name of its zero point; empty if zero is 0.
        axis: The axis along which zero points differ.
        block: How many elements along it share one; 0 if each has its own.
    """

    node: Any = None
    zero_point: str = ""
    axis: int = 0
    block: int = 0


def weights_of(graph: Any) -> dict[str, Weight]:
    """Stored tensor -> its use, for weights, biases and whatever is dequantised.

    Args:
        graph: An ONNX graph.
    """
    stored = {tensor.name for tensor in graph.initializer}
    found: dict[str, Weight] = {}
    sources = {name: name for name in stored}
    for node in graph.node:
        given = node.input[0] if node.input else ""
        if node.op_type == "DequantizeLinear" and given in stored:
            found[given] = _dequantized(node)
        if given in sources and node.op_type in ("DequantizeLinear", *_MOVES):
            sources[node.output[0]] = sources[given]
    for node in graph.node:
        for name, weight in _used(node):
            source = sources.get(name)
            if source is not None:
                found[source] = _joined(found.get(source), weight)
    return found


def _dequantized(node: Any) -> Weight:
    zero_point = node.input[2] if len(node.input) > 2 else ""
    return Weight(None, zero_point, _number(node, "axis", 1), _number(node, "block_size", 0))


def _used(node: Any) -> Iterator[tuple[str, Weight]]:
    places = _PLACES.get(node.op_type)
    if places is None:
        return
    names = dict(enumerate(node.input))
    weight, zero_point, bias = places
    is_rows = node.op_type in CONVOLUTIONS or (
        node.op_type == "QGemm" and _number(node, "transB", 0)
    )
    yield names.get(weight, ""), Weight(node, names.get(zero_point, ""), 0 if is_rows else -1)
    yield names.get(bias, ""), Weight()


def _joined(before: Weight | None, use: Weight) -> Weight:
    """A tensor that is dequantised first is read by that zero point; of two uses the first."""
    if before is None:
        return use
    return before if before.node is not None else Weight(use.node, *_reading(before, use))


def _reading(before: Weight, use: Weight) -> tuple[str, int, int]:
    one = before if before.zero_point or not use.zero_point else use
    return one.zero_point, one.axis, one.block


def _number(node: Any, name: str, default: int) -> int:
    return next((int(one.i) for one in node.attribute if one.name == name), default)


def readers(graph: Any) -> set[str]:
    """The names of scales and zero points: how others are read."""
    found: set[str] = set()
    for node in graph.node:
        if node.op_type in ("DequantizeLinear", "QuantizeLinear"):
            found.update(node.input[1:])
        elif node.op_type in _PLACES:
            found.update(set(node.input) - {name for name, _ in _used(node)} - {node.input[0]})
    return found


def zeros(values: Any, weight: Weight | None, stored: Mapping[str, Any]) -> int | None:
    """How many elements are zero; None where the zero point is not stored beside them.

    Args:
        values: The array.
        weight: Its use.
        stored: Name -> array, of the zero points.

    Example:
        >>> zeros(np.uint8([[3, 0], [4, 4]]), Weight(None, "z", 0), {"z": np.uint8([3, 4])})
        3
    """
    if weight is None or not weight.zero_point:
        return int(values.size - np.count_nonzero(values))
    if weight.zero_point not in stored:
        return None
    points = _spread(np.asarray(stored[weight.zero_point]), weight, values.shape)
    # One that is spread further than the values would make more of them.
    if np.broadcast_shapes(points.shape, values.shape) != values.shape:
        raise ValueError(f"zero points {weight.zero_point!r:.60} of another shape")
    if points.dtype != values.dtype:
        values, points = values.astype(np.float64), points.astype(np.float64)
    return int(np.count_nonzero(values == points))


def _spread(points: Any, weight: Weight, shape: tuple[int, ...]) -> Any:
    """Zero points in a form that can be compared with values of a shape, element by element."""
    if points.size == 1:
        return points.reshape(())
    if weight.block:
        size = shape[weight.axis]
        around = [*shape[: weight.axis], 1, *shape[weight.axis :][1:]]
        if np.broadcast_shapes(points.take([0], weight.axis).shape, around) != tuple(around):
            raise ValueError(f"zero points {weight.zero_point!r:.60} of another shape")
        block = min(weight.block, size)
        # No more of them than are used: others would be repeated for nothing, or for a bomb.
        points = np.take(points, range(-(-size // block)), axis=weight.axis)
        points = np.repeat(points, block, axis=weight.axis)
        return np.take(points, range(size), axis=weight.axis)
    if points.ndim == 1:
        spread = points.reshape(-1, *[1] * (len(shape) - 1))
        return np.moveaxis(spread, 0, weight.axis)
    return points
