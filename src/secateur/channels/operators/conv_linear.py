"""Operators that sum channels up: convolutions, linear layers, products of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, Flags, TensorLabels, fixed
from secateur.channels.labels.constant_propagation import (
    constant_slices,
    constant_values,
    used_slices,
    zero_slices,
)
from secateur.channels.labels.events import Read
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.registry import operator
from secateur.foundation.truth import any_in_rows


def _counts_no_groups(call: Call, _: Sequence[TensorLabels]) -> bool:
    """Whether the number of groups is one, or an attribute that follows the cut."""
    return call.tape.is_counted("groups") or int(call.arg(6, "groups", 1)) == 1


@operator("linear", follows_any_cut=True, keeps_zero=zeros.of_layer, sums_channels=True)
def linear(call: Call) -> TensorLabels:
    """`x[..., i] W[o, i] + b[o]`."""
    source, weight = call.arg(0, "input"), call.arg(1, "weight")
    layout, kernel = call.layout(source), call.layout(weight)
    const = contract(call, source, -1, weight, -1, row_axis=0 if weight.dim() > 1 else None)
    if weight.dim() == 1:
        return TensorLabels(layout.axes[:-1])
    out = output_axis(call, kernel.axes[0], call.arg(2, "bias"), const)
    call.count(in_features=kernel.axes[-1], out_features=out)
    return TensorLabels((*_moving(layout.axes[:-1]), out), layout.constant and kernel.constant)


@operator(
    *("conv1d", "conv2d", "conv3d"),
    follows_any_cut=_counts_no_groups,
    keeps_zero=zeros.of_layer,
    sums_channels=True,
)
def convolution(call: Call) -> TensorLabels:
    """A convolution; a grouped one is cut in whole groups, or evenly across its groups."""
    source, weight = call.arg(0, "input"), call.arg(1, "weight")
    layout, kernel = call.layout(source), call.layout(weight)
    channel = source.dim() - weight.dim() + 1
    groups = int(call.arg(6, "groups", 1))
    call.pin_axes(layout, [channel], "spatial axis")
    call.pin_axes(kernel, [0, 1], "kernel")
    if groups == 1:
        const = contract(
            call, source, channel, weight, 1, row_axis=0, border=_has_border(call, weight)
        )
        out = output_axis(call, kernel.axes[0], call.arg(2, "bias"), const)
    else:
        out = _grouped(call, layout.axes[channel], source, weight, groups, transposed=False)
    call.count(in_channels=layout.axes[channel], out_channels=out)
    return _placed(source, channel, out)


@operator(
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    follows_any_cut=_counts_no_groups,
    keeps_zero=zeros.of_layer,
    sums_channels=True,
)
def transposed_convolution(call: Call) -> TensorLabels:
    """A transposed convolution: weight `[in, out / groups, ...]`."""
    source, weight = call.arg(0, "input"), call.arg(1, "weight")
    layout, kernel = call.layout(source), call.layout(weight)
    channel = source.dim() - weight.dim() + 1
    groups = int(call.arg(6, "groups", 1))
    call.pin_axes(layout, [channel], "spatial axis")
    call.pin_axes(kernel, [0, 1], "kernel")
    if groups == 1:
        const = contract(call, source, channel, weight, 0, row_axis=1, border=True)
        out = output_axis(call, kernel.axes[1], call.arg(2, "bias"), const)
    else:
        out = _grouped(call, layout.axes[channel], source, weight, groups, transposed=True)
    call.count(in_channels=layout.axes[channel], out_channels=out)
    return _placed(source, channel, out)


def _has_border(call: Call, weight: Tensor) -> bool:
    padding = call.arg(4, "padding", 0)
    if isinstance(padding, str):
        return padding == "same" and math.prod(weight.shape[2:]) > 1
    return any(padding) if isinstance(padding, tuple | list) else padding != 0


def _placed(source: Tensor, channel: int, out: AxisLabels | None) -> TensorLabels:
    return TensorLabels((None,) * channel + (out,) + (None,) * (source.dim() - channel - 1))


def _moving(axes: tuple[AxisLabels | None, ...]) -> tuple[AxisLabels | None, ...]:
    return tuple(axis and AxisLabels(axis.labels, np.zeros(axis.size, np.bool_)) for axis in axes)


def output_axis(
    call: Call, rows: AxisLabels | None, bias: Tensor | None, const: Flags | None
) -> AxisLabels | None:
    """The channels that a weight's rows compute, tied to its bias."""
    if bias is not None and bias.dim() == 1 and bias.numel() > 1:
        rows = call.tie(rows, call.layout(bias).axes[0])
    if rows is None:
        return None
    return AxisLabels(rows.labels, np.zeros(rows.size, np.bool_) if const is None else const)


def contract(
    call: Call,
    left: Tensor,
    left_axis: int,
    right: Tensor,
    right_axis: int,
    *,
    row_axis: int | None = None,
    border: bool = False,
) -> Flags | None:
    """Sum over an axis of two tensors: tie the two, and note that channels may leave here.

    Args:
        call: The call.
        left: The activations.
        left_axis: Their summed axis.
        right: The weight, or other activations.
        right_axis: Its summed axis.
        row_axis: The axis of `right` that is the output's channel axis.
        border: Constants do not arrive the same everywhere (padding).

    Returns:
        bool `[rows]`, which outputs are constant; None where constants are not followed.
    """
    layout, kernel = call.layout(left), call.layout(right)
    axis = call.tie(layout.axes[left_axis], kernel.axes[right_axis])
    rows = None if row_axis is None else kernel.axes[row_axis]
    if kernel.constant:
        mark_roles(call, kernel.axes[right_axis], rows)
    labels = np.zeros(left.shape[left_axis], np.int64) if axis is None else axis.labels
    read = Read(call.path, call.name, labels, np.zeros(labels.size, np.bool_), np.zeros(0))
    call.tape.reads.append(read)
    read.weight = call.tape.name_of(right)
    read.rows = None if rows is None else rows.labels
    if not call.tape.constants:
        return None
    read.always_zero = zero_slices(left, layout, left_axis)
    read.values = constant_values(left, layout, left_axis)
    if border:
        read.values = np.where(read.values == 0, 0.0, np.nan)
    if not kernel.constant or row_axis is None:
        read.always_zero = read.always_zero | zero_slices(right, kernel, right_axis)
        return None
    read.used = _used(right, row_axis, right_axis)
    moving = torch.from_numpy(np.isnan(read.values))
    return ~read.used[:, moving].any(1).numpy()


def _used(weight: Tensor, row_axis: int, axis: int) -> Tensor:
    used = weight.detach().bool().movedim((row_axis, axis), (0, 1))
    if used.dim() > 2:
        used = any_in_rows(used.flatten(2).flatten(0, 1)).view(used.shape[:2])
    return used.cpu()


def mark_roles(call: Call, read: AxisLabels | None, write: AxisLabels | None) -> None:
    """Note which labels of a weight read channels and which compute them."""
    if read is not None:
        call.tape.roles.reads.append(read.labels)
    if write is not None:
        call.tape.roles.writes.append((write.labels, call.path, call.name))


def _grouped(
    call: Call,
    channels: AxisLabels | None,
    source: Tensor,
    weight: Tensor,
    groups: int,
    *,
    transposed: bool,
) -> AxisLabels | None:
    """Channels of a grouped convolution: input and output blocks of a group stand together."""
    kernel = call.layout(weight)
    many, few = kernel.axes[0] or fixed(weight.shape[0]), kernel.axes[1] or fixed(weight.shape[1])
    size = source.shape[source.dim() - weight.dim() + 1]
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    inside = size // groups
    if channels is None:
        channels = fixed(size)
    blocks = channels.labels.reshape(groups, inside)
    options = 2 if inside > 1 and outputs > groups else 1
    taken = call.choose(options, channels.labels)
    if taken == 0 or transposed:
        call.count(groups=blocks[:, 0])
    if transposed:
        call.tie(channels, many)
        mark_roles(call, None, many)
        rows = np.repeat(blocks[:, 0], outputs // groups)
        call.pin(few)
        bias = call.arg(2, "bias")
        if bias is not None:
            call.bind(_labels(call, bias), rows)
        call.bind(blocks, np.broadcast_to(blocks[:, :1], blocks.shape))
        return AxisLabels(rows, _zero_groups(call, source, weight, groups))
    written = many.labels.reshape(groups, -1)
    mark_roles(call, few, many)
    bias = call.arg(2, "bias")
    if bias is not None:
        call.bind(_labels(call, bias), many.labels)
    if taken == 0:
        call.pin(few)
        call.bind(blocks, np.broadcast_to(blocks[:, :1], blocks.shape))
        call.bind(written, np.broadcast_to(blocks[:, :1], written.shape))
    else:
        call.bind(blocks, np.broadcast_to(few.labels, blocks.shape))
        call.bind(written, np.broadcast_to(written[:1], written.shape))
    return AxisLabels(many.labels, _grouped_constants(call, source, weight, groups, blocks, taken))


def _zero_groups(call: Call, source: Tensor, weight: Tensor, groups: int) -> Flags:
    """Outputs of a transposed grouped convolution whose whole group reads zeros or is zeros."""
    channel = source.dim() - weight.dim() + 1
    zero = zero_slices(source, call.layout(source), channel) | ~used_slices(weight, 0)
    return np.repeat(zero.reshape(groups, -1).all(1), weight.shape[1])


def _labels(call: Call, vector: Tensor) -> Any:
    axis = call.layout(vector).axes[0]
    return np.zeros(vector.numel(), np.int64) if axis is None else axis.labels


def _grouped_constants(
    call: Call, source: Tensor, weight: Tensor, groups: int, blocks: Any, taken: int
) -> Flags:
    """Which outputs are constant; across-group cuts also note that the inputs must be zero."""
    rows = weight.shape[0]
    channel = source.dim() - weight.dim() + 1
    layout = call.layout(source)
    zero = zero_slices(source, layout, channel).reshape(groups, -1)
    if taken == 1:
        call.tape.reads.append(
            Read(
                call.path,
                call.name,
                blocks.ravel(),
                zero.ravel(),
                np.where(zero, 0.0, np.nan).ravel(),
            )
        )
    if not call.tape.constants:
        return np.zeros(rows, np.bool_)
    const = constant_slices(layout, channel, source.shape[channel]).reshape(groups, -1)
    steady = const & (zero | (not _has_border(call, weight)))
    steady_rows = np.repeat(steady.all(1), rows // groups)
    return steady_rows | ~used_slices(weight, 0)
