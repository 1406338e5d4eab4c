"""Normalisations: by channel they tie, across channels they pin."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.events import Read
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.elementwise import meet
from secateur.channels.operators.registry import operator


@operator("batch_norm", follows_any_cut=True, keeps_zero=zeros.of_affine, keeps_shape=True)
def batch_norm(call: Call) -> TensorLabels:
    """One mean, variance, scale and shift a channel of axis 1."""
    source = call.arg(0, "input")
    statistics = [call.arg(1, "running_mean"), call.arg(2, "running_var")]
    affine = [call.arg(3, "weight"), call.arg(4, "bias")]
    return _by_channel(call, source, [*statistics, *affine])


@operator("instance_norm", follows_any_cut=True, keeps_zero=zeros.of_affine)
def instance_norm(call: Call) -> TensorLabels:
    """Each channel of each sample is normalised by itself."""
    source = call.arg(0, "input")
    vectors = [
        call.arg(position, name)
        for position, name in enumerate(("input", "running_mean", "running_var", "weight", "bias"))
    ][1:]
    return _by_channel(call, source, vectors)


def _by_channel(call: Call, source: Tensor, vectors: list[Tensor | None]) -> TensorLabels:
    layout = call.layout(source)
    axis = layout.axes[1]
    call.pin_axes(layout, [1])
    const = None if axis is None else axis.const
    for vector in vectors:
        if vector is not None:
            axis = call.tie(axis, call.layout(vector).axes[0])
    call.count(num_features=axis)
    if axis is not None and const is not None and call.tape.constants:
        scale = vectors[2]
        if scale is not None:
            const = const | scale.detach().eq(0).cpu().numpy()
        axis = AxisLabels(axis.labels, const)
    elif axis is not None:
        axis = AxisLabels(axis.labels, np.zeros(axis.size, np.bool_))
    return TensorLabels((None, axis, *(None,) * (source.dim() - 2)), layout.constant)


@operator("layer_norm", "rms_norm", follows_any_cut=True)
def layer_norm(call: Call) -> TensorLabels:
    """Averages over the last axes: a channel there cannot go without changing the others."""
    source, shape = call.arg(0, "input"), call.arg(1, "normalized_shape")
    layout = call.layout(source)
    for axis in layout.axes[source.dim() - len(shape) :]:
        call.pin(axis, "averages channels")
    affine = (
        [call.arg(2, "weight"), call.arg(3, "bias")]
        if call.name == "layer_norm"
        else [call.arg(2, "weight")]
    )
    for vector in affine:
        if isinstance(vector, Tensor):
            call.pin_axes(call.layout(vector), reason="averages channels")
    kept = layout.axes[: source.dim() - len(shape)]
    return TensorLabels((*kept, *(None for _ in shape)), layout.constant)


@operator("group_norm", keeps_zero=zeros.of_affine)
def group_norm(call: Call) -> TensorLabels:
    """Averages within groups of channels: whole groups can go, one channel cannot."""
    source, groups = call.arg(0, "input"), int(call.arg(1, "num_groups"))
    layout = call.layout(source)
    axis = layout.axes[1]
    call.pin_axes(layout, [1])
    for vector in (call.arg(2, "weight"), call.arg(3, "bias")):
        if vector is not None:
            axis = call.tie(axis, call.layout(vector).axes[0])
    if axis is None:
        return TensorLabels((None,) * source.dim())
    if groups == 1:
        call.pin(axis, "averages channels")
        return TensorLabels((None,) * source.dim())
    blocks = axis.labels.reshape(groups, -1)
    call.lengths.append(blocks[:, 0])
    call.count(num_groups=blocks[:, 0], num_channels=axis)
    call.bind(blocks, np.broadcast_to(blocks[:, :1], blocks.shape))
    steady = np.repeat(axis.const.reshape(groups, -1).all(1), blocks.shape[1])
    scale = call.arg(2, "weight")
    if call.tape.constants and scale is not None:
        steady = steady | scale.detach().eq(0).cpu().numpy()
    return TensorLabels((None, AxisLabels(axis.labels, steady), *(None,) * (source.dim() - 2)))


@operator("normalize")
def normalize(call: Call) -> TensorLabels | None:
    """`x / |x|` along an axis: a channel there that is zero adds nothing to the norm."""
    source, power, dim = call.arg(0, "input"), call.arg(1, "p", 2.0), call.arg(2, "dim", 1)
    if not isinstance(dim, int) or power <= 0:
        return None
    layout = call.layout(source)
    axis = layout.axes[dim]
    if axis is not None and not axis.is_fixed:
        zero = zero_slices(source, layout, dim)
        values = np.where(zero, 0.0, np.nan)
        call.tape.reads.append(Read(call.path, call.name, axis.labels, zero, values))
    axes = [
        one and AxisLabels(one.labels, zero_slices(source, layout, position))
        for position, one in enumerate(layout.axes)
    ]
    return TensorLabels(tuple(axes), layout.constant)


@operator("local_response_norm")
def local_response_norm(call: Call) -> None:
    """Neighbouring channels look at each other: pinned."""
    call.pin_axes(call.layout(call.args[0]), reason="looks at its neighbours")


@operator("softmax", follows_any_cut=True, keeps_shape=True)
@operator("log_softmax", follows_any_cut=True)
@operator(
    "softmin",
    "gumbel_softmax",
    "logcumsumexp",
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "sort",
    "argsort",
)
def along_one_axis(call: Call) -> TensorLabels | list[TensorLabels] | None:
    """Mixes the elements of one axis; the others pass."""
    source = call.arg(0, "input")
    dim = call.arg(1, "dim")
    if dim is None or isinstance(dim, Tensor) or not isinstance(dim, int):
        return None
    layout = call.layout(source)
    call.pin(layout.axes[dim], "averages channels")
    out = meet(call, [source], source)
    result = out.replace({dim % source.dim(): None})
    return result if isinstance(call.out, Tensor) else [result] * len(call.out)
