"""Operators that work element by element: the channels that meet are one channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, Flags, TensorLabels
from secateur.channels.labels.constant_propagation import constant_slices, zero_slices
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.registry import operator
from secateur.foundation.run_example import tensors_in

ONE_TO_ONE = [
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "sigmoid",
    "tanh",
    "softplus",
    "softsign",
    "logsigmoid",
    "tanhshrink",
    "softshrink",
    "hardshrink",
    "threshold",
    "rrelu",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "sqrt",
    "rsqrt",
    "abs",
    "neg",
    "positive",
    "square",
    "reciprocal",
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"),
    *("arcsin", "arccos", "arctan", "arcsinh", "arctanh", "sinc", "exp2", "digamma", "lgamma"),
    *("erf", "erfc", "erfinv", "i0", "deg2rad", "rad2deg", "sign", "sgn", "signbit"),
    *("special_expit", "special_entr", "special_erf", "special_erfc", "special_log1p"),
    "floor",
    "ceil",
    "round",
    "trunc",
    "frac",
    "clamp",
    "clip",
    "clamp_min",
    "clamp_max",
    "nan_to_num",
    "logit",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
    "feature_dropout",
    "clone",
    "contiguous",
    "detach",
    "data",
    "to",
    "float",
    "double",
    "half",
    "bfloat16",
    "type",
    "type_as",
    "cuda",
    "cpu",
    "long",
    "int",
    "requires_grad",
    "alias",
    "bitwise_not",
    "logical_not",
    "isnan",
    "isinf",
    "isfinite",
    "real",
    "identity",
]
# Of these, what is no tensor among the arguments is a switch (`inplace`, `training`) or chance: no
# number becomes a value.
SWITCHED = (
    *("relu", "relu6", "selu", "silu", "mish", "hardswish", "hardsigmoid"),
    *("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"),
    *("feature_alpha_dropout", "feature_dropout"),
)
MEETING = [
    "floor_divide",
    "pow",
    "rsub",
    "remainder",
    "fmod",
    "maximum",
    "minimum",
    "max_binary",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "lerp",
    "addcmul",
    "addcdiv",
    *("atan2", "arctan2", "fmax", "fmin", "hypot", "copysign", "heaviside", "xlogy", "isclose"),
    *("logaddexp", "logaddexp2", "ldexp", "float_power", "special_xlogy", "special_xlog1py"),
    "logical_and",
    "logical_or",
    "logical_xor",
    "bitwise_and",
    "bitwise_or",
    "and",
    "or",
    "xor",
    "fill",
    "zero",
]


@operator(*SWITCHED, follows_any_cut=True, keeps_zero=zeros.of_one, keeps_shape=True)
@operator(
    *(name for name in ONE_TO_ONE if name not in SWITCHED),
    follows_any_cut=True,
    keeps_zero=zeros.of_one,
    keeps_shape=True,
    values_from_numbers=True,
)
@operator(
    *("add", "sub"),
    follows_any_cut=True,
    keeps_zero=zeros.of_sum,
    keeps_shape=True,
    values_from_numbers=True,
)
@operator(*MEETING, follows_any_cut=True, keeps_shape=True, values_from_numbers=True)
def elementwise(call: Call) -> TensorLabels | None:
    """Tie whatever meets; constant where all that meets is constant."""
    if not isinstance(call.out, Tensor):
        return None
    return meet(call, tensors_in((call.args, call.kwargs)), call.out)


@operator(
    *("mul", "multiply"),
    follows_any_cut=True,
    keeps_zero=zeros.of_product,
    sums_channels=True,
    keeps_shape=True,
    values_from_numbers=True,
)
def multiply(call: Call) -> TensorLabels | None:
    """As any element-wise operator, but one zero is enough to make a product constant."""
    tensors = tensors_in((call.args, call.kwargs))
    return meet(call, tensors, call.out, absorbing=tensors)


@operator(
    *("div", "true_divide", "divide"),
    follows_any_cut=True,
    keeps_zero=zeros.of_quotient,
    keeps_shape=True,
    values_from_numbers=True,
)
def divide(call: Call) -> TensorLabels | None:
    """As any element-wise operator, but a zero numerator makes the quotient zero."""
    tensors = tensors_in((call.args, call.kwargs))
    numerator = call.args[0] if isinstance(call.args[0], Tensor) else None
    return meet(call, tensors, call.out, absorbing=[] if numerator is None else [numerator])


@operator("prelu", follows_any_cut=True, keeps_zero=True)
def prelu(call: Call) -> TensorLabels:
    """A slope a channel, along axis 1 of the input, or one slope for all."""
    source, slope = call.args[:2]
    layout, weight = call.layout(source), call.layout(slope)
    if slope.numel() == 1:
        return layout
    position = 1 if source.dim() > 1 else 0
    call.count(num_parameters=weight.axes[0])
    return layout.replace({position: call.tie(layout.axes[position], _keep(weight.axes[0]))})


@operator("glu", follows_any_cut=True, keeps_zero=True)
def gated(call: Call) -> TensorLabels:
    """The first half of an axis times a gate from the second: the halves go together."""
    source, dim = call.arg(0, "input"), int(call.arg(1, "dim", -1))
    layout = call.layout(source)
    axis = layout.axes[dim]
    half = source.shape[dim] // 2
    if axis is None:
        return layout.replace({dim % source.dim(): None})
    first, second = axis.take(slice(half)), axis.take(slice(half, None))
    const = first.const & second.const
    if call.tape.constants:
        const = const | zero_slices(source, layout, dim)[:half]
    tied = call.tie(first, second)
    return layout.replace({dim % source.dim(): tied and AxisLabels(tied.labels, const)})


def _keep(axis: AxisLabels | None) -> AxisLabels | None:
    return None if axis is None else AxisLabels(axis.labels, np.ones(axis.size, np.bool_))


def meet(
    call: Call, tensors: Sequence[Tensor], out: Tensor, *, absorbing: Sequence[Tensor] = ()
) -> TensorLabels:
    """The layout of a broadcast of several tensors.

    Args:
        call: The call.
        tensors: What meets.
        out: The result, for its shape.
        absorbing: Tensors in which a constant zero makes the result a constant zero.
    """
    layouts = [call.layout(tensor) for tensor in tensors]
    axes = [
        _meet_axis(call, tensors, layouts, back - out.dim(), out.shape[back], absorbing)
        for back in range(out.dim())
    ]
    return TensorLabels(tuple(axes), all(layout.constant for layout in layouts))


def _meet_axis(
    call: Call,
    tensors: Sequence[Tensor],
    layouts: Sequence[TensorLabels],
    back: int,
    size: int,
    absorbing: Sequence[Tensor],
) -> AxisLabels | None:
    if size <= 1:
        return None
    full = [
        (tensor, layout)
        for tensor, layout in zip(tensors, layouts, strict=True)
        if tensor.dim() >= -back and tensor.shape[back] == size
    ]
    axis = full[0][1].axes[back] if full else None
    for _, layout in full[1:]:
        axis = call.tie(axis, layout.axes[back])
    if axis is None or not call.tape.constants:
        return axis
    const = np.ones(size, np.bool_)
    for tensor, layout in zip(tensors, layouts, strict=True):
        inside = tensor.dim() >= -back and tensor.shape[back] == size
        const &= constant_slices(layout, back, size) if inside else _all(layout, size)
    for tensor, layout in full:
        if any(tensor is one for one in absorbing):
            const |= zero_slices(tensor, layout, back)
    return AxisLabels(axis.labels, const)


def _all(layout: TensorLabels, size: int) -> Flags:
    return np.full(size, layout.constant, np.bool_)
