"""Operators of torch in ONNX: those that nets have between their layers, for a dense segment.

A writer takes the operator's arguments by name and puts down ONNX operators that give the same
numbers. It returns False, and puts down nothing, for a form of the operator that it does not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from secateur.runtime.compiler.graph import Node, NodeKind, Read
from secateur.runtime.compiler.onnx_form import Form, axes_of

aten = torch.ops.aten


def can_write(node: Node) -> bool:
    """Whether a node can be written in ONNX, from values in fp32 to one in fp32."""
    if node.kind is not NodeKind.TORCH:
        return node.kind is not NodeKind.INPUT
    if not node.inputs or any(axes_of(value) is None for value in (node, *node.inputs)):
        return False
    writer = WRITERS.get(node.options.get("operator"))
    if writer is None:
        return False
    try:
        names = [f"x{place}" for place in range(len(node.inputs))]
        return writer(Form(_Nowhere(), node, names, "y")) is not False
    except (TypeError, ValueError, KeyError, AttributeError):
        return False


class _Nowhere:
    """Takes everything and keeps nothing."""

    def put(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """Nothing."""

    def constant(self, values: Any) -> str:  # noqa: ARG002
        """No constant."""
        return ""


Writer = Callable[[Form], Any]


def _unary(kind: str, **attributes: Any) -> Writer:
    def write(form: Form) -> None:
        (value,) = (one for one in form.given.values() if isinstance(one, Read))
        form.put(kind, form.name(value), to=form.output, **attributes)

    return write


def _binary(kind: str) -> Writer:
    def write(form: Form) -> bool | None:
        if form.given.get("alpha", 1) != 1 or form.given.get("rounding_mode") is not None:
            return False
        names = [form.name(form.given[name]) for name in ("self", "other")]
        form.put(kind, *names, to=form.output)
        return None

    return write


def _silu(form: Form) -> None:
    value = form.name(form.given["self"])
    form.put("Mul", value, form.put("Sigmoid", value), to=form.output)


def _gelu(form: Form) -> None:
    value = form.name(form.given["self"])
    if form.given["approximate"] == "tanh":
        cube = form.put("Mul", form.put("Mul", value, value), value)
        inner = form.put("Add", value, form.put("Mul", cube, form.name(0.044715)))
        wave = form.put("Tanh", form.put("Mul", inner, form.name(math.sqrt(2 / math.pi))))
    else:
        wave = form.put("Erf", form.put("Div", value, form.name(math.sqrt(2))))
    whole = form.put("Mul", value, form.put("Add", wave, form.name(1.0)))
    form.put("Mul", whole, form.name(0.5), to=form.output)


def _clip(form: Form) -> None:
    low = form.given.get("min_val", form.given.get("min"))
    high = form.given.get("max_val", form.given.get("max"))
    names = ["" if bound is None else form.name(bound) for bound in (low, high)]
    form.put("Clip", form.name(form.given["self"]), *names, to=form.output)


def _relu6(form: Form) -> None:
    value = form.name(form.given["self"])
    form.put("Clip", value, form.name(0.0), form.name(6.0), to=form.output)


def _softmax(kind: str) -> Writer:
    def write(form: Form) -> bool | None:
        if form.given.get("dtype") not in (None, torch.float32):
            return False
        (axis,) = form.axes(form.given["dim"])
        form.put(kind, form.name(form.given["self"]), to=form.output, axis=axis)
        return None

    return write


def _layer_norm(form: Form) -> None:
    shape = form.given["normalized_shape"]
    weight, bias = form.given["weight"], form.given["bias"]
    names = [form.name(torch.ones(*shape) if weight is None else weight)]
    names += [] if bias is None else [form.name(bias)]
    value = form.name(form.given["input"])
    settings = {"axis": -len(shape), "epsilon": float(form.given["eps"])}
    form.put("LayerNormalization", value, *names, to=form.output, **settings)


def _transpose(form: Form) -> None:
    order = list(range(form.rank))
    one, other = form.axes(form.given["dim0"]) + form.axes(form.given["dim1"])
    order[one], order[other] = other, one
    form.put("Transpose", form.name(form.given["self"]), to=form.output, perm=order)


def _permute(form: Form) -> None:
    order = form.axes(form.given["dims"])
    form.put("Transpose", form.name(form.given["self"]), to=form.output, perm=order)


def _cat(form: Form) -> None:
    (axis,) = form.axes(form.given["dim"])
    names = [form.name(one) for one in form.given["tensors"]]
    form.put("Concat", *names, to=form.output, axis=axis)


def _mean(form: Form) -> bool | None:
    if form.given.get("dtype") is not None or not form.given.get("dim"):
        return False
    kept = bool(form.given["keepdim"])
    axes = list(form.given["dim"])
    before = form.rank if kept else form.rank + len(axes)
    value = form.name(form.given["self"])
    settings = {"axes": form.axes(axes, before), "keepdims": int(kept)}
    form.put("ReduceMean", value, to=form.output, **settings)
    return None


def _slice(form: Form) -> bool | None:
    start, end = form.given["start"] or 0, form.given["end"]
    end = 2**62 if end is None else end
    if not all(isinstance(one, int) for one in (start, end, form.given["step"])):
        return False
    axes = form.axes(form.given["dim"])
    ends = [[start], [min(end, 2**62)], axes, [form.given["step"]]]
    names = [form.sink.constant(one) for one in ends]
    form.put("Slice", form.name(form.given["self"]), *names, to=form.output)
    return None


def _attention(form: Form) -> bool | None:
    """Scaled dot products, softmax, and a mean of the values by it."""
    given, axes = form.given, axes_of(form.node) or ()
    if given["dropout_p"] or given.get("enable_gqa") or len(axes) < 3:
        return False
    first = form.node.inputs[given["query"].place]
    width, length = (axes_of(first) or ())[-1], (axes_of(first) or ())[-2]
    other = (axes_of(form.node.inputs[given["key"].place]) or ())[-2]
    scale = given.get("scale")
    if scale is None and width is None:
        return False
    mask = given["attn_mask"]
    if given["is_causal"]:
        if length is None or length != other:
            return False
        mask = torch.full((length, length), -math.inf).triu(1)
    elif isinstance(mask, Tensor) and mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)
    order = [*range(form.rank - 2), form.rank - 1, form.rank - 2]
    turned = form.put("Transpose", form.name(given["key"]), perm=order)
    factor = float(scale) if scale is not None else 1 / math.sqrt(width or 1)
    query = form.put("Mul", form.name(given["query"]), form.name(factor))
    scores = form.put("MatMul", query, turned)
    scores = scores if mask is None else form.put("Add", scores, form.name(mask))
    shares = form.put("Softmax", scores, axis=-1)
    form.put("MatMul", shares, form.name(given["value"]), to=form.output)
    return None


def _select(form: Form) -> bool | None:
    index = form.given["index"]
    if not isinstance(index, int):
        return False
    place = form.sink.constant(np.int64(index))
    (axis,) = form.axes(form.given["dim"], form.rank + 1)
    form.put("Gather", form.name(form.given["self"]), place, to=form.output, axis=axis)
    return None


def _reshape(form: Form) -> None:
    sizes = form.sink.constant([int(size) for size in form.given["shape"]])
    form.put("Reshape", form.name(form.given["self"]), sizes, to=form.output)


def _leaky(form: Form) -> None:
    alpha = float(form.given["negative_slope"])
    form.put("LeakyRelu", form.name(form.given["self"]), to=form.output, alpha=alpha)


def _elu(form: Form) -> bool | None:
    if form.given["scale"] != 1 or form.given["input_scale"] != 1:
        return False
    value, alpha = form.name(form.given["self"]), float(form.given["alpha"])
    form.put("Elu", value, to=form.output, alpha=alpha)
    return None


def _pixel_shuffle(form: Form) -> bool | None:
    if form.rank != 4:
        return False
    settings = {"blocksize": form.given["upscale_factor"], "mode": "CRD"}
    form.put("DepthToSpace", form.name(form.given["self"]), to=form.output, **settings)
    return None


def _pow(form: Form) -> None:
    names = [form.name(form.given[name]) for name in ("self", "exponent")]
    form.put("Pow", *names, to=form.output)


WRITERS: dict[Any, Writer] = {
    aten.relu: _unary("Relu"),
    aten.sigmoid: _unary("Sigmoid"),
    aten.tanh: _unary("Tanh"),
    aten.exp: _unary("Exp"),
    aten.sqrt: _unary("Sqrt"),
    aten.neg: _unary("Neg"),
    aten.abs: _unary("Abs"),
    aten.hardswish: _unary("HardSwish"),
    aten.hardsigmoid: _unary("HardSigmoid", alpha=1 / 6, beta=0.5),
    aten.relu6: _relu6,
    aten.hardtanh: _clip,
    aten.clamp: _clip,
    aten.leaky_relu: _leaky,
    aten.elu: _elu,
    aten.pixel_shuffle: _pixel_shuffle,
    aten.silu: _silu,
    aten.gelu: _gelu,
    aten.add: _binary("Add"),
    aten.sub: _binary("Sub"),
    aten.mul: _binary("Mul"),
    aten.div: _binary("Div"),
    aten.matmul: _binary("MatMul"),
    aten.pow: _pow,
    aten.softmax: _softmax("Softmax"),
    aten.log_softmax: _softmax("LogSoftmax"),
    aten.layer_norm: _layer_norm,
    aten.transpose: _transpose,
    aten.permute: _permute,
    aten.cat: _cat,
    aten.mean: _mean,
    aten.slice: _slice,
    aten.select: _select,
    aten.reshape: _reshape,
    aten.scaled_dot_product_attention: _attention,
}
"""Operator -> writer, whatever the overload."""
