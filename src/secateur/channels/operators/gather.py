"""Elements taken or added by their numbers along one axis: that axis stays, the others pass.

A buffer of a network that lists channels, one behind the other, follows a cut: what leaves the
channels leaves the list, and what is left of it is numbered anew.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.op_call import Call
from secateur.channels.operators.registry import operator


@operator("index_select", keeps_zero=True)
def index_select(call: Call) -> TensorLabels | None:
    """Slices by number; where they are the channels, their numbers hold them."""
    source, dim = call.arg(0, "input"), call.arg(1, "dim")
    layout = call.layout(source)
    taken = ordered(call, layout.axes[dim], call.arg(2, "index"))
    if taken is None:
        call.pin(layout.axes[dim], "by their numbers")
    return _still_zero(call, source, layout).replace({dim % source.dim(): taken})


def ordered(call: Call, axis: AxisLabels | None, index: object) -> AxisLabels | None:
    """The axis in an order that lies in a buffer of the network; None if it lies elsewhere."""
    if axis is None or not isinstance(index, Tensor) or index.dim() != 1:
        return None
    name = call.tape.list_of(index)
    own = call.tape.parameters[name].axes[0] if name else None
    if own is None:
        return None
    numbers = index.cpu().numpy()
    known = call.tape.orders.setdefault(name, axis.labels)
    if numbers.min() < 0 or known.size != axis.size:
        return None
    call.bind(known, axis.labels)
    call.bind(own.labels, axis.labels[numbers])
    call.orders.append(index)
    return axis.take(numbers)


@operator("gather", "take_along_dim", keeps_zero=True)
def gather(call: Call) -> TensorLabels | None:
    """Each place of the index names one along the axis; at the others the two meet."""
    first, second = ("dim", "index") if call.name == "gather" else ("indices", "dim")
    source, dim, index = call.arg(0, "input"), call.arg(1, first), call.arg(2, second)
    if call.name == "take_along_dim":
        dim, index = index, dim
    if not isinstance(dim, int) or not isinstance(index, Tensor):
        return None
    layout = call.layout(source)
    call.pin(layout.axes[dim], "by their numbers")
    axes = list(_still_zero(call, source, layout).axes)
    for position, axis in enumerate(call.layout(index).axes):
        if position == dim % source.dim():
            call.pin(axis, "by their numbers")
            axes[position] = None
        elif index.shape[position] != source.shape[position]:
            call.pin(axis, "lengths differ")
            call.pin(axes[position], "lengths differ")
            axes[position] = None
        else:
            axes[position] = _met(call, axes[position], axis)
    return TensorLabels(tuple(axes), layout.constant and call.layout(index).constant)


@operator("index_add", "index_copy", "scatter_add", "scatter", "scatter_reduce")
def added_by_number(call: Call) -> TensorLabels | None:
    """What is added or put in place meets what it is put into, but for the axis of the numbers."""
    target, dim, index, source = (
        call.arg(n, name) for n, name in enumerate(("input", "dim", "index", "src"))
    )
    source = call.kwargs.get("source", source)
    layout = call.layout(target)
    if not isinstance(dim, int) or not isinstance(index, Tensor) or not isinstance(source, Tensor):
        return None
    if source.dim() != target.dim():
        return None
    axes = list(_still_zero(call, target, layout).axes)
    others = [call.layout(source)]
    if index.dim() == target.dim():
        others.append(call.layout(index))
    for other, tensor in zip(others, (source, index), strict=False):
        for position, axis in enumerate(other.axes):
            if position == dim % target.dim():
                call.pin(axis, "by their numbers")
            elif tensor.shape[position] != target.shape[position]:
                call.pin(axis, "lengths differ")
                call.pin(axes[position], "lengths differ")
                axes[position] = None
            else:
                axes[position] = _met(call, axes[position], axis)
    call.pin(layout.axes[dim], "by their numbers")
    axes[dim] = None
    if call.tape.constants:
        zero = _still_zero(call, source, call.layout(source)).axes
        axes = [
            a and AxisLabels(a.labels, a.const & _const(q, a.size))
            for a, q in zip(axes, zero, strict=True)
        ]
    return TensorLabels(tuple(axes))


def _met(call: Call, one: AxisLabels | None, other: AxisLabels | None) -> AxisLabels | None:
    tied = call.tie(one, other)
    return tied and one and AxisLabels(tied.labels, one.const)


def _const(axis: AxisLabels | None, size: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.zeros(size, np.bool_) if axis is None else axis.const


def _still_zero(call: Call, source: Tensor, layout: TensorLabels) -> TensorLabels:
    """The same axes, of which only zero slices stay constant."""
    if not call.tape.constants:
        return TensorLabels(layout.axes, layout.constant)
    axes = [
        axis and AxisLabels(axis.labels, zero_slices(source, layout, position))
        for position, axis in enumerate(layout.axes)
    ]
    return TensorLabels(tuple(axes), layout.constant)
