"""Embeddings, and weights that are computed from others."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels
from secateur.channels.labels.constant_propagation import used_slices, zero_slices
from secateur.channels.labels.events import Read
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.conv_linear import mark_roles
from secateur.channels.operators.registry import operator


@operator("embedding", follows_any_cut=True, keeps_zero=zeros.of_layer, sums_channels=True)
def embedding(call: Call) -> TensorLabels:
    """The columns of the table are the channels; its rows stay."""
    index, weight = call.arg(0, "input"), call.arg(1, "weight")
    table = call.layout(weight)
    call.pin(table.axes[0], "looked up by number")
    call.pin_axes(call.layout(index), reason="a list of numbers")
    mark_roles(call, None, table.axes[1])
    axis = table.axes[1]
    call.count(embedding_dim=axis)
    if axis is not None:
        const = np.zeros(axis.size, np.bool_)
        if call.tape.constants:
            const = ~used_slices(weight, 1)
        axis = AxisLabels(axis.labels, const)
    constant = table.constant and call.layout(index).constant
    return TensorLabels((*(None,) * index.dim(), axis), constant)


@operator("weight_norm", "weight_norm_interface")
def weight_norm(call: Call) -> TensorLabels | None:
    """`g v / |v|`: a channel is zeroed by its `g`, for the rows of `v` may not be.

    A channel that the layer reads leaves where its part of `v` is zero: then no norm is another.
    """
    direction, scale = call.args[:2]
    dim = call.arg(2, "dim", 0)
    if not isinstance(dim, int) or dim < 0:
        return None
    layout = call.layout(direction)
    axes = [
        _normed(call, direction, position) if position != dim else None
        for position in range(direction.dim())
    ]
    rows = layout.axes[dim]
    if rows is not None:
        call.tape.roles.reads.append(rows.labels)
    axes[dim] = call.layout(scale).axes[dim]
    call.tie(rows, axes[dim])
    return TensorLabels(tuple(axes), constant=True)


def _normed(call: Call, direction: Tensor, position: int) -> AxisLabels | None:
    """An axis that a norm is taken over, under labels of its own: who reads these zeroes no `v`."""
    axis = call.layout(direction).axes[position]
    if axis is None or axis.is_fixed:
        return axis
    zero = zero_slices(direction, call.layout(direction), position)
    values = np.where(zero, 0.0, np.nan)
    call.tape.reads.append(Read(call.path, call.name, axis.labels, zero, values))
    own = call.tape.ties.fresh(axis.size)
    call.bind(own.labels, axis.labels)
    return AxisLabels(own.labels, axis.const)
