"""Embeddings, and weights that are computed from others."""

from __future__ import annotations

import numpy as np

from secateur.channels.call import Call
from secateur.channels.constants import used_slices
from secateur.channels.layout import Axis, Layout
from secateur.channels.rules.contraction import mark_roles
from secateur.channels.rules.table import rule


@rule("embedding")
def embedding(call: Call) -> Layout:
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
        axis = Axis(axis.labels, const)
    constant = table.constant and call.layout(index).constant
    return Layout((*(None,) * index.dim(), axis), constant)


@rule("weight_norm", "weight_norm_interface")
def weight_norm(call: Call) -> Layout | None:
    """`g v / |v|`: a channel is silenced by its `g`; `v` may not be zeroed.

    What a norm is taken over stays: without some of it, the rest would be longer.
    """
    direction, scale = call.args[:2]
    dim = int(call.arg(2, "dim", 0))
    if dim < 0:
        return None
    layout = call.layout(direction)
    call.pin_axes(layout, [dim], "its norm is taken")
    rows = layout.axes[dim]
    if rows is not None:
        call.tape.roles.reads.append(rows.labels)
    scales = call.layout(scale).axes[dim]
    call.tie(rows, scales)
    axes = list(layout.axes)
    axes[dim] = scales
    return Layout(tuple(axes), constant=True)
