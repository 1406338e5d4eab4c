"""Rules: from the operators of an exported program to the kinds of nodes that the plan knows.

A rule takes the value's name and shape and the operator's arguments by name. It returns a node,
or None where this form of the operator is not known: it then runs in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from secateur.runtime.compiler.graph import Node, NodeKind
from secateur.runtime.compiler.unfolding import exchanged

aten = torch.ops.aten

Arguments = dict[str, Any]
Rule = Callable[[str, tuple[int, ...], Arguments], Node | None]

IDENTITIES = (aten.clone, aten.contiguous, aten.alias, aten.detach, aten.dropout)
RESHAPES = (aten.view, aten.reshape, aten.flatten, aten.unflatten, aten.squeeze, aten.unsqueeze)

_TO_THE_END = (None, 2**63 - 1)


def _pair(value: Any) -> tuple[int, int]:
    sizes = [value] if isinstance(value, int) else list(value)
    return sizes[0], sizes[-1]


def _each(value: Any, axes: int) -> tuple[int, ...]:
    sizes = [value] if isinstance(value, int) else list(value)
    return tuple(sizes * axes if len(sizes) == 1 else sizes)


def _are_constant(*values: Any) -> bool:
    return all(value is None or isinstance(value, Tensor) for value in values)


def _conv(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    weight, bias = given["weight"], given["bias"]
    if not isinstance(given["input"], Node) or not _are_constant(weight, bias):
        return None
    dilation = _pair(given["dilation"])
    padding = given["padding"]
    if isinstance(padding, str):
        whole = [d * (size - 1) for d, size in zip(dilation, weight.shape[2:], strict=True)]
        if padding == "same" and any(size % 2 for size in whole):
            return None
        padding = [size // 2 if padding == "same" else 0 for size in whole]
    options = {
        "stride": _pair(given["stride"]),
        "padding": _pair(padding),
        "dilation": dilation,
        "groups": given["groups"],
    }
    return Node(NodeKind.CONV, name, (given["input"],), shape, weight, bias, options=options)


def _conv_3d(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    weight, bias = given["weight"], given["bias"]
    if not isinstance(given["input"], Node) or not _are_constant(weight, bias):
        return None
    if len(shape) != 4 or isinstance(given["padding"], str):
        return None
    options = {axis: _each(given[axis], 3) for axis in ("stride", "padding", "dilation")}
    options["groups"] = given["groups"]
    return Node(NodeKind.CONV_3D, name, (given["input"],), shape, weight, bias, options=options)


def _conv_transpose(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    weight, bias = given["weight"], given["bias"]
    if not isinstance(given["input"], Node) or not _are_constant(weight, bias):
        return None
    if len(shape) != 3:
        return None
    groups = given["groups"]
    options = {
        axis: _pair(given[axis]) for axis in ("stride", "padding", "dilation", "output_padding")
    }
    options["groups"] = groups
    weight = exchanged(weight, groups)
    node = Node(NodeKind.CONV_TRANSPOSE, name, (given["input"],), shape, weight, bias)
    node.options = options
    return node


def _linear(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    weight, bias = given["weight"], given["bias"]
    if not isinstance(given["input"], Node) or not _are_constant(weight, bias) or len(shape) != 1:
        return None
    return Node(NodeKind.LINEAR, name, (given["input"],), shape, weight, bias)


def _addmm(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    bias = given["self"]
    if given["beta"] != 1 or given["alpha"] != 1 or not _are_constant(given["mat2"], bias):
        return None
    if bias.shape != shape:
        return None
    weight = given["mat2"].t().contiguous()
    return _linear(name, shape, {"input": given["mat1"], "weight": weight, "bias": bias})


def _relu(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    value: Node = given["self"]
    return Node(NodeKind.RELU, name, (value,), shape, rows=value.rows)


def _add(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    pair = (given["self"], given["other"])
    if given["alpha"] != 1 or not all(isinstance(v, Node) and v.shape == shape for v in pair):
        return None
    return Node(NodeKind.ADD, name, pair, shape, rows=max(value.rows for value in pair))


def _norm(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    mean, variance = given["running_mean"], given["running_var"]
    if given["training"] or not isinstance(mean, Tensor) or not isinstance(variance, Tensor):
        return None
    if not isinstance(given["input"], Node) or not _are_constant(given["weight"], given["bias"]):
        return None
    # In float64, so that folding rounds no more than the norm itself does.
    scale = (variance.double() + given["eps"]).rsqrt()
    if given["weight"] is not None:
        scale = scale * given["weight"].double()
    shift = -mean.double() * scale
    if given["bias"] is not None:
        shift = shift + given["bias"].double()
    return Node(NodeKind.AFFINE, name, (given["input"],), shape, scale, shift)


def _max_pool(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    return None if given["ceil_mode"] else _pool(NodeKind.MAX_POOL, name, shape, given)


def _avg_pool(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    if given["ceil_mode"] or given["divisor_override"] is not None:
        return None
    return _pool(NodeKind.AVG_POOL, name, shape, given)


def _adaptive_avg_pool(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    before = given["self"].shape
    if len(before) != 3 or any(a % b for a, b in zip(before[1:], shape[1:], strict=True)):
        return None
    kernel = [a // b for a, b in zip(before[1:], shape[1:], strict=True)]
    whole = {"kernel_size": kernel, "stride": kernel, "padding": 0, "count_include_pad": False}
    return _pool(NodeKind.AVG_POOL, name, shape, {**given, **whole})


def _adaptive_avg_pool_3d(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    """The mean of all of it is one of a plane."""
    value: Node = given["self"]
    if len(value.sizes) != 4 or shape[1:] != (1, 1, 1):
        return None
    channels, *sizes = value.sizes
    plane = Node(NodeKind.RESHAPE, name, (value,), (channels, 1, prod(sizes)))
    pooled = _adaptive_avg_pool(name, (channels, 1, 1), {"self": plane})
    return pooled and Node(NodeKind.RESHAPE, name, (pooled,), shape)


def _mean(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    """A mean over height and width is a pool of all of it."""
    value = given["self"]
    if len(value.shape) != 3 or sorted(axis % 4 for axis in given["dim"] or ()) != [2, 3]:
        return None
    pooled = _adaptive_avg_pool(name, (value.shape[0], 1, 1), {"self": value})
    if pooled is None or given["keepdim"]:
        return pooled
    return Node(NodeKind.RESHAPE, name, (pooled,), shape)


def _pool(kind: NodeKind, name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    if len(shape) != 3 or len(given["self"].shape) != 3:
        return None
    kernel = _pair(given["kernel_size"])
    options = {
        "kernel": kernel,
        "stride": _pair(given["stride"]) if given["stride"] else kernel,
        "padding": _pair(given["padding"]),
        "dilation": _pair(given.get("dilation", 1)),
        "count_padding": given.get("count_include_pad", False),
    }
    return Node(kind, name, (given["self"],), shape, options=options)


def _reshape(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    value = given["self"] if "self" in given else given["input"]
    return (
        Node(NodeKind.RESHAPE, name, (value,), shape) if prod(value.shape) == prod(shape) else None
    )


def _identity(_name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    value: Node = given["self"] if "self" in given else given["input"]
    return None if given.get("train") or value.shape != shape else value


def _slice(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    value: Node = given["self"]
    if given["start"] not in (0, None) or given["end"] not in _TO_THE_END:
        return None
    if given["step"] == 1:
        return value if value.shape == shape else None
    if given["dim"] not in (2, 3) or len(shape) != 3:
        return None
    steps = (given["step"], 1) if given["dim"] == 2 else (1, given["step"])
    return _select(name, shape, value, steps, 0)


def _pad(name: str, shape: tuple[int, ...], given: Arguments) -> Node | None:
    """Channels of zeros, before and behind."""
    sizes = list(given["pad"])
    if given["mode"] != "constant" or given["value"] not in (0, None) or len(shape) != 3:
        return None
    if len(sizes) != 6 or any(sizes[:4]) or min(sizes) < 0:
        return None
    return _select(name, shape, given["self"], (1, 1), sizes[4])


def _select(
    name: str, shape: tuple[int, ...], value: Node, steps: tuple[int, int], before: int
) -> Node:
    """One SELECT; behind another the two are one."""
    if value.kind is NodeKind.SELECT:
        stride = value.options["stride"]
        steps = (steps[0] * stride[0], steps[1] * stride[1])
        before += value.options["before"]
        (value,) = value.inputs
    return Node(NodeKind.SELECT, name, (value,), shape, options={"stride": steps, "before": before})


RULES: dict[Any, Rule] = {
    aten.conv2d: _conv,
    aten.conv3d: _conv_3d,
    aten.conv_transpose2d: _conv_transpose,
    aten.linear: _linear,
    aten.addmm: _addmm,
    aten.relu: _relu,
    aten.add: _add,
    aten.batch_norm: _norm,
    aten.max_pool2d: _max_pool,
    aten.avg_pool2d: _avg_pool,
    aten.adaptive_avg_pool2d: _adaptive_avg_pool,
    aten.adaptive_avg_pool3d: _adaptive_avg_pool_3d,
    aten.mean: _mean,
    aten.slice: _slice,
    aten.pad: _pad,
    **dict.fromkeys(RESHAPES, _reshape),
    **dict.fromkeys(IDENTITIES, _identity),
}
"""Operator -> rule, whatever the overload. Values that are nodes are fp32 batches."""
