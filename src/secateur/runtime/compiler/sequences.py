"""Sequences: rules for operators on `[N, C, L]`, and for layers that work row by row.

A convolution over a sequence is one over an image of one row, between two other shapes of the same
numbers. A linear layer on `[N, T, F]`, or on any tensor with a last axis that is fixed, is one on
its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from secateur.runtime.compiler.graph import Node, NodeKind
from secateur.runtime.compiler.rules import IDENTITIES, Arguments, Rule
from secateur.runtime.compiler.rules import RULES as IMAGE_RULES

aten = torch.ops.aten
_PER_AXIS = ("stride", "padding", "dilation", "kernel_size", "output_size", "output_padding")
_SAME = {"padding": 0, "dilation": 1, "output_padding": 0}


def _widened(value: Any, name: str) -> Any:
    """What an option of a sequence is for an image of one row."""
    if not isinstance(value, int | list | tuple):
        return value
    last = value if isinstance(value, int) else value[-1] if value else None
    return [] if last is None else [_SAME.get(name, 1), last]


def _as_image(rule: Rule) -> Rule:
    """The rule for images on sequences."""

    def on_sequence(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
        value = given["input"] if "input" in given else given["self"]
        if not isinstance(value, Node) or len(shape) != 2 or len(value.sizes) != 2:
            return None
        wide = {key: _widened(one, key) if key in _PER_AXIS else one for key, one in given.items()}
        wide.setdefault("divisor_override", None)
        weight = given.get("weight")
        if isinstance(weight, Tensor):
            wide["weight"] = weight.unsqueeze(2)
        channels, length = value.sizes
        image = Node(NodeKind.RESHAPE, name, (value,), (channels, 1, length))
        wide["input" if "input" in given else "self"] = image
        made = rule(name, (shape[0], 1, shape[1]), wide)
        return made and Node(NodeKind.RESHAPE, name, (made,), shape)

    return on_sequence


RULES: dict[Any, Rule] = {
    **IMAGE_RULES,
    aten.conv1d: _as_image(IMAGE_RULES[aten.conv2d]),
    aten.conv_transpose1d: _as_image(IMAGE_RULES[aten.conv_transpose2d]),
    aten.max_pool1d: _as_image(IMAGE_RULES[aten.max_pool2d]),
    aten.avg_pool1d: _as_image(IMAGE_RULES[aten.avg_pool2d]),
    aten.adaptive_avg_pool1d: _as_image(IMAGE_RULES[aten.adaptive_avg_pool2d]),
}
"""Operator -> rule, whatever the overload. Values that are nodes are fp32 batches."""


def _layer(name: str, value: Any, weight: Any, bias: Any) -> Node | None:
    if not isinstance(value, Node) or not isinstance(weight, Tensor) or weight.dim() != 2:
        return None
    if bias is not None and (not isinstance(bias, Tensor) or bias.shape != weight.shape[:1]):
        return None
    if value.width != weight.shape[1] or weight.dtype != torch.float32:
        return None
    return Node(NodeKind.LINEAR, name, (value,), None, weight, bias)


def _linear(name: str, given: Arguments) -> Node | None:
    return _layer(name, given["input"], given["weight"], given["bias"])


def _product(second: str) -> Callable[[str, Arguments], Node | None]:
    def rule(name: str, given: Arguments) -> Node | None:
        weight = given[second]
        if not isinstance(weight, Tensor) or weight.dim() != 2:
            return None
        return _layer(name, given["self"], weight.t().contiguous(), None)

    return rule


def _addmm(name: str, given: Arguments) -> Node | None:
    weight = given["mat2"]
    if given["beta"] != 1 or given["alpha"] != 1 or not isinstance(weight, Tensor):
        return None
    return _layer(name, given["mat1"], weight.t().contiguous(), given["self"])


def _relu(name: str, given: Arguments) -> Node | None:
    value = given["self"]
    return Node(NodeKind.RELU, name, (value,), None) if value.rows else None


def _identity(_name: str, given: Arguments) -> Node | None:
    value: Node = given["self"] if "self" in given else given["input"]
    same = value.dims is not None and given.get("dtype") is None and not given.get("train")
    return value if same else None


ROW_RULES: dict[Any, Callable[[str, Arguments], Node | None]] = {
    aten.linear: _linear,
    aten.matmul: _product("other"),
    aten.mm: _product("mat2"),
    aten.addmm: _addmm,
    aten.relu: _relu,
    **dict.fromkeys(IDENTITIES, _identity),
}
"""Operator -> rule for whatever tensor in fp32; the values of nodes need no batch axis in front."""
