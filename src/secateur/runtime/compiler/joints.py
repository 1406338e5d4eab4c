"""Joints: operators between layers that the kernels have, and the dense engines as torch's own.

Activations, products, concatenation and pixel shuffle: a node of one of these kinds keeps the
operator that it is made of, and runs as that wherever the kernels do not take it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import torch

from secateur.runtime.compiler.graph import Node, NodeKind, Read
from secateur.runtime.compiler.onnx_operators import can_write
from secateur.runtime.kernels.structs import Function

aten = torch.ops.aten

Options = dict[str, Any]
Joint = tuple[NodeKind, Options]
Rule = Callable[[Node, dict[str, Any]], Joint | None]


def joint(node: Node) -> None:
    """Make a node of one operator one that the kernels know, if they do.

    Args:
        node: Of kind TORCH, with `operator` and `given`; its kind, options and rows are changed.
    """
    rule = RULES.get(node.options.get("operator"))
    if rule is None or not node.inputs or node.dims is None or not can_write(node):
        return
    made = rule(node, node.options["given"])
    rows = max(value.rows for value in node.inputs)
    whole = [one.shape is not None for one in (node, *node.inputs)]
    if made is None or not (all(whole) or (rows and made[0] in _BY_ROW)):
        return
    node.kind, options = made
    node.options = {**node.options, **options}
    node.rows = rows if node.kind in _BY_ROW else 0


_BY_ROW = (NodeKind.ACTIVATION, NodeKind.MULTIPLY)


def _activation(function: Function, *numbers: float) -> Rule:
    def rule(_node: Node, given: dict[str, Any]) -> Joint | None:
        return _function(function, *numbers) if isinstance(given["self"], Read) else None

    return rule


def _function(function: Function, *numbers: float) -> Joint:
    return NodeKind.ACTIVATION, {"function": function, "numbers": tuple(numbers)}


def _gelu(_node: Node, given: dict[str, Any]) -> Joint:
    return _function(Function.GELU_TANH if given["approximate"] == "tanh" else Function.GELU)


def _clamp(_node: Node, given: dict[str, Any]) -> Joint | None:
    low = given.get("min_val", given.get("min"))
    high = given.get("max_val", given.get("max"))
    bounds = (-inf if low is None else low, inf if high is None else high)
    if not all(isinstance(one, int | float) for one in bounds):
        return None
    return _function(Function.CLAMP, *map(float, bounds))


def _leaky(_node: Node, given: dict[str, Any]) -> Joint:
    return _function(Function.LEAKY, float(given["negative_slope"]), 0.0)


def _elu(_node: Node, given: dict[str, Any]) -> Joint | None:
    if given["scale"] != 1 or given["input_scale"] != 1:
        return None
    return _function(Function.ELU, float(given["alpha"]), 0.0)


def _multiply(node: Node, given: dict[str, Any]) -> Joint | None:
    pair = (given["self"], given["other"])
    if len(node.inputs) != 2 or not all(isinstance(one, Read) for one in pair):
        return None
    first, second = node.inputs
    if first.dims == second.dims == node.dims:
        return NodeKind.MULTIPLY, {}
    if first.shape is None or second.shape is None:
        return None
    factors = [_are_factors(*each) for each in ((second, first), (first, second))]
    return (NodeKind.SCALE, {"of": factors.index(True)}) if any(factors) else None


def _are_factors(factors: Node, value: Node) -> bool:
    """Whether there is one number for each channel of an image."""
    channels, *rest = value.sizes
    return len(rest) > 1 and factors.sizes == (channels, *[1] * len(rest))


def _concat(node: Node, given: dict[str, Any]) -> Joint | None:
    tensors: Sequence[Any] = given["tensors"]
    if not all(isinstance(one, Read) for one in tensors) or node.shape is None:
        return None
    if len(tensors) < 2 or len(node.inputs) != len(tensors):
        return None
    axis, rank = given["dim"], len(node.sizes) + 1
    return (NodeKind.CONCAT, {}) if axis % rank == 1 else None


def _shuffle(node: Node, given: dict[str, Any]) -> Joint | None:
    if node.shape is None or len(node.shape) != 3:
        return None
    factor = given["upscale_factor"]
    return NodeKind.SHUFFLE, {"stride": (factor, factor)}


RULES: dict[Any, Rule] = {
    aten.relu6: _activation(Function.CLAMP, 0.0, 6.0),
    aten.hardtanh: _clamp,
    aten.clamp: _clamp,
    aten.leaky_relu: _leaky,
    aten.elu: _elu,
    aten.sigmoid: _activation(Function.SIGMOID),
    aten.hardsigmoid: _activation(Function.HARD_SIGMOID),
    aten.silu: _activation(Function.SILU),
    aten.hardswish: _activation(Function.HARD_SWISH),
    aten.tanh: _activation(Function.TANH),
    aten.gelu: _gelu,
    aten.mul: _multiply,
    aten.cat: _concat,
    aten.pixel_shuffle: _shuffle,
}
"""Operator -> kind and options of a node, or None where this form has no kernel."""
