"""Operators that only move data: what they do to indices, they do to labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels, join
from secateur.channels.labels.constant_propagation import constant_slices, zero_slices
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.elementwise import meet
from secateur.channels.operators.gather import ordered
from secateur.channels.operators.registry import operator
from secateur.foundation.run_example import tensors_in

Followed = tuple[int, np.ndarray[tuple[int], np.dtype[np.int64]]]

SPREADS = frozenset(("expand", "expand_as", "broadcast_to", "repeat", "tile"))


def _indexes_beside(call: Call, _: Sequence[TensorLabels]) -> bool:
    """Whether only axes without channels are indexed (`x[:, :, ::2]`)."""
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    if not all(isinstance(one, int | slice) for one in index):
        return False
    axes = call.layout(call.args[0]).axes
    return all(
        axis is None or axis.is_fixed or one == slice(None)
        for axis, one in zip(axes, index, strict=False)
    )


def _gives_equal_parts(call: Call, _: Sequence[TensorLabels]) -> bool:
    """Whether `chunk` gives as many parts as were asked for, all of one size."""
    first = call.out[0].shape
    return len(call.out) == call.arg(1, "chunks") and all(t.shape == first for t in call.out)


def _widens_no_channels(call: Call, _: Sequence[TensorLabels]) -> bool:
    """Whether no axis that holds channels is padded."""
    return not call.lengths


@operator(
    *("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "T", "mT", "t"),
    follows_any_cut=True,
    keeps_zero=True,
    moves_elements=True,
)
@operator(
    *("expand", "repeat", "repeat_interleave", "roll", "flip", "narrow", "select"),
    keeps_zero=True,
    moves_elements=True,
)
@operator(
    "__getitem__",
    follows_any_cut=_indexes_beside,
    keeps_zero=True,
    moves_elements=True,
)
@operator(
    *("H", "mH", "adjoint", "expand_as", "broadcast_to", "tile", "fliplr", "flipud", "rot90"),
    *("diagonal", "tril", "triu", "unfold_tensor", "narrow_copy", "slice"),
    moves_elements=True,
)
def move(call: Call) -> TensorLabels | None:
    """Send an index along each labelled axis through the operator, and see where it comes out."""
    source = call.args[0]
    layout = call.layout(source)
    if call.name == "__getitem__":
        _by_number(call, layout)
    moved = _moved(call, source, layout, call.out, None)
    return _spread(call, source, moved) if call.name in SPREADS else moved


def _by_number(call: Call, layout: TensorLabels) -> None:
    """Channels that are listed by number stay, unless the list follows them."""
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    if any(one is None or one is Ellipsis or isinstance(one, bool) for one in index):
        return
    if not any(isinstance(one, Tensor) for one in index):
        return
    for axis, one in zip(layout.axes, index, strict=False):
        if isinstance(one, Tensor) and ordered(call, axis, one) is None:
            call.pin(axis, "by their numbers")


def _spread(call: Call, source: Tensor, moved: TensorLabels) -> TensorLabels:
    """An axis along which one slice is repeated belongs to no one yet, or follows its model."""
    axes = list(moved.axes)
    model = call.args[1] if len(call.args) > 1 and isinstance(call.args[1], Tensor) else None
    for back in range(1, call.out.dim() + 1):
        single = back > source.dim() or source.shape[-back] == 1
        if not single or axes[-back] is not None or call.out.shape[-back] == 1:
            continue
        size = call.out.shape[-back]
        axis = call.tape.ties.fresh(size) if model is None else call.layout(model).axes[-back]
        axes[-back] = axis and AxisLabels(axis.labels, np.full(size, moved.constant))
    return TensorLabels(tuple(axes), moved.constant)


@operator("split", "split_with_sizes", "unbind", keeps_zero=True)
@operator("chunk", follows_any_cut=_gives_equal_parts, keeps_zero=True)
@operator("tensor_split", "hsplit", "vsplit", "dsplit")
@operator("unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk")
def split(call: Call) -> list[TensorLabels]:
    """The parts of an axis; equal parts must stay equal."""
    source = call.args[0]
    layout = call.layout(source)
    parts = [_moved(call, source, layout, part, n) for n, part in enumerate(call.out)]
    if isinstance(call.arg(1, "split_size_or_sections"), tuple | list):
        call.lengths += [axis.labels for part in parts for axis in part.axes if axis is not None]
    for position in range(call.out[0].dim()):
        axes = [part.axes[position] for part in parts]
        first = axes[0]
        if any(axis is None or first is None or axis.size != first.size for axis in axes):
            continue
        for axis in axes[1:]:
            if axis is None or first is None:
                continue
            if not np.array_equal(axis.labels, first.labels):
                call.bind(first.labels, axis.labels)
    return parts


def _moved(
    call: Call, source: Tensor, layout: TensorLabels, out: Tensor, part: int | None
) -> TensorLabels:
    axes: list[AxisLabels | None] = [None] * out.dim()
    for position, axis in enumerate(layout.axes):
        if axis is None:
            continue
        followed = follow(call, source, position, part)
        if followed is None:
            call.pin(axis, "takes one of its indices" if call.name == "__getitem__" else "")
        elif axes[followed[0]] is not None:
            call.pin(axis, "meets another labelled axis")
        else:
            axes[followed[0]] = axis.take(followed[1])
            if part is None and followed[1].size < axis.size:
                _note_bounds(call, axis, followed[1])
    return TensorLabels(tuple(axes), layout.constant)


def _note_bounds(call: Call, axis: AxisLabels, index: np.ndarray[tuple[int], Any]) -> None:
    """The bounds of a slice count channels: those before it, in it and after it."""
    first, last = int(index.min()), int(index.max()) + 1
    parts = [axis.labels[:first], axis.labels[first:last], axis.labels[last:]]
    call.lengths += [part for part in parts if part.size]


def follow(call: Call, source: Tensor, position: int, part: int | None) -> Followed | None:
    """Where the indices along one axis come out: the axis of the result, and the gather."""
    size = source.shape[position]
    shape = [1] * source.dim()
    shape[position] = size
    probe = torch.arange(size, device=source.device).view(shape).expand(source.shape)
    moved = call.func(probe, *call.args[1:], **call.kwargs)
    return vary(moved if part is None else moved[part])


def vary(index: Tensor) -> Followed | None:
    """The only axis along which an index tensor varies, and the indices along it."""
    small = index
    for axis in range(index.dim()):
        if index.stride(axis) == 0 and index.shape[axis] > 1:
            small = small.narrow(axis, 0, 1)
    for axis in range(index.dim()):
        if small.shape[axis] > 1 and small.numel() != small.shape[axis]:
            first = small.narrow(axis, 0, 1)
            if torch.equal(small, first.expand_as(small)):
                small = first
    moving = [axis for axis in range(index.dim()) if small.shape[axis] > 1]
    if len(moving) != 1:
        return None
    return moving[0], small.flatten().cpu().numpy()


@operator("cat", "concat", "concatenate", follows_any_cut=True, keeps_zero=True)
def cat(call: Call) -> TensorLabels | None:
    """One axis after another; all the other axes meet."""
    tensors = [tensor for tensor in call.arg(0, "tensors") if tensor.dim() == call.out.dim()]
    dim = call.arg(1, "dim", 0) % call.out.dim()
    layouts = [call.layout(tensor) for tensor in tensors]
    joined = join(
        [
            _in_cat(layout, dim, tensor.shape[dim])
            for layout, tensor in zip(layouts, tensors, strict=True)
        ],
        [tensor.shape[dim] for tensor in tensors],
    )
    return _others_meet(call, layouts, joined, dim)


@operator("stack", follows_any_cut=True, keeps_zero=True)
def stack(call: Call) -> TensorLabels | None:
    """A new axis; all the axes meet."""
    tensors = list(call.arg(0, "tensors"))
    dim = call.arg(1, "dim", 0) % call.out.dim()
    layouts = [
        TensorLabels((*layout.axes[:dim], None, *layout.axes[dim:]), layout.constant)
        for layout in map(call.layout, tensors)
    ]
    return _others_meet(call, layouts, None, dim)


def _in_cat(layout: TensorLabels, dim: int, size: int) -> AxisLabels | None:
    """An axis with the constants that only its tensor as a whole knows of."""
    axis = layout.axes[dim]
    if not layout.constant:
        return axis
    labels = np.zeros(size, np.int64) if axis is None else axis.labels
    return AxisLabels(labels, constant_slices(layout, dim, size))


def _others_meet(
    call: Call, layouts: list[TensorLabels], joined: AxisLabels | None, dim: int
) -> TensorLabels:
    axes = list(layouts[0].axes)
    for layout in layouts[1:]:
        for position, axis in enumerate(layout.axes):
            if position != dim:
                axes[position] = call.tie(axes[position], axis)
    axes[dim] = joined
    return TensorLabels(tuple(axes), all(layout.constant for layout in layouts))


@operator(
    "pad",
    follows_any_cut=_widens_no_channels,
    keeps_zero=zeros.of_padded,
    values_from_numbers=True,
)
@operator("constant_pad_nd")
def pad(call: Call) -> TensorLabels:
    """Padded channels are new ones, of zeros; padded space leaves only zeros constant."""
    source, widths = call.arg(0, "input"), list(call.arg(1, "pad"))
    mode, value = call.arg(2, "mode", "constant"), call.arg(3, "value", 0.0) or 0.0
    layout = call.layout(source)
    axes = list(layout.axes)
    around = [(0, 0)] * source.dim()
    for number in range(len(widths) // 2):
        around[source.dim() - 1 - number] = (widths[2 * number], widths[2 * number + 1])
    for position, (before, after) in enumerate(around):
        axis = axes[position]
        if axis is None:
            continue
        elsewhere = any(width != (0, 0) for p, width in enumerate(around) if p != position)
        if elsewhere and mode == "constant":
            axis = _zeros_only(call, source, layout, position, value)
        if axis is not None and (before, after) != (0, 0):
            axis = _lengthened(call, axis, before, after, mode)
        axes[position] = axis
    return TensorLabels(tuple(axes), layout.constant)


def _zeros_only(
    call: Call, source: Tensor, layout: TensorLabels, position: int, value: float
) -> AxisLabels | None:
    axis = layout.axes[position]
    if axis is None:
        return None
    if call.tape.constants and value == 0:
        return AxisLabels(axis.labels, zero_slices(source, layout, position))
    return AxisLabels(axis.labels, np.zeros(axis.size, np.bool_))


def _lengthened(
    call: Call, axis: AxisLabels, before: int, after: int, mode: str
) -> AxisLabels | None:
    if mode != "constant":
        call.pin(axis, mode)
        return None
    core = axis.take(slice(max(-before, 0), axis.size - max(-after, 0)))
    ends = [call.tape.ties.fresh(max(width, 0), const=True) for width in (before, after)]
    call.lengths += [end.labels for end in ends]
    return join([ends[0], core, ends[1]], [ends[0].size, core.size, ends[1].size])


@operator("__setitem__")
def assign(call: Call) -> list[TensorLabels] | None:
    """`x[index] = value`: the part meets the value."""
    target, index, value = call.args
    layout = call.layout(target)
    if target._base is not None or any(isinstance(i, Tensor) for i in tensors_in(index)):
        call.pin_axes(layout, reason="into a view")
        return None
    probe = Call(call.tape, call.name, torch.Tensor.__getitem__, (target, index), {}, None)
    part = target[index]
    region = _moved(probe, target, layout, part, None)
    tensors = tensors_in(value)
    if tensors:
        filled = call.layout(tensors[0])
        trimmed = TensorLabels(filled.axes[-part.dim() :] if part.dim() else (), filled.constant)
        for back in range(1, min(part.dim(), len(trimmed.axes)) + 1):
            if part.shape[-back] > 1 and tensors[0].shape[-back] == part.shape[-back]:
                call.tie(region.axes[-back], trimmed.axes[-back])
    axes = [axis and AxisLabels(axis.labels, np.zeros(axis.size, np.bool_)) for axis in layout.axes]
    for position, axis in enumerate(layout.axes):
        if axis is not None and axes[position] is not None:
            followed = follow(probe, target, position, None)
            if followed is not None:
                const = axis.const | layout.constant
                const[followed[1]] = False
                axes[position] = AxisLabels(axis.labels, const)
    constant = layout.constant and all(call.layout(one).constant for one in tensors)
    given = bool(layout.given) and all(call.layout(one).given for one in tensors)
    call.tape.file(target, TensorLabels(tuple(axes), constant, may_be_nonzero=True, given=given))
    return []


@operator("copy")
def copy(call: Call) -> TensorLabels | None:
    """`x.copy_(y)`: the two meet."""
    if call.args[0]._base is not None:
        return None
    return meet(call, list(call.args[:2]), call.out)
