"""Reshapes: axes merge and split, and what is left must stay a grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels, fixed
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.op_call import Call
from secateur.channels.operators.registry import operator

Block = tuple[list[int], list[int]]


def _infers_channels(call: Call, layouts: Sequence[TensorLabels]) -> bool:
    """Whether a view leaves the axis that holds channels to be worked out (`-1`)."""
    shape, axes = call.rest(1, "shape"), layouts[0].axes
    if not isinstance(shape, tuple | list) or len(shape) != len(axes):
        return False
    return all(
        axis is None or axis.is_fixed or size == -1 for axis, size in zip(axes, shape, strict=True)
    )


@operator("view", "reshape", follows_any_cut=_infers_channels, keeps_zero=True)
@operator("flatten", "unsqueeze", follows_any_cut=True, keeps_zero=True)
@operator("unflatten", "squeeze", keeps_zero=True)
@operator("view_as", "reshape_as", "ravel", "atleast_2d")
def reshape(call: Call) -> TensorLabels | None:
    """Any change of shape that keeps the order of the elements."""
    source = call.args[0]
    if not isinstance(call.out, Tensor):
        return None
    return reshaped(call, call.layout(source), tuple(source.shape), tuple(call.out.shape))


@operator("pixel_shuffle", follows_any_cut=True, keeps_zero=True)
def pixel_shuffle(call: Call) -> TensorLabels:
    """`[C r², H, W]` to `[C, H r, W r]`: the r² channels of a pixel stand together."""
    source, factor = call.args[0], int(call.arg(1, "upscale_factor"))
    channel = source.dim() - 3
    axis = call.layout(source).axes[channel]
    merged = None if axis is None else _first_of(call, axis, factor * factor)
    return call.layout(source).replace({channel: merged})


@operator("pixel_unshuffle", follows_any_cut=True, keeps_zero=True)
def pixel_unshuffle(call: Call) -> TensorLabels:
    """`[C, H r, W r]` to `[C r², H, W]`: a channel becomes r² of them."""
    source, factor = call.args[0], int(call.arg(1, "downscale_factor"))
    channel = source.dim() - 3
    axis = call.layout(source).axes[channel]
    spread = axis and axis.take(np.repeat(np.arange(axis.size), factor * factor))
    return call.layout(source).replace({channel: spread})


@operator("unfold", keeps_zero=True)
def unfold(call: Call) -> TensorLabels | None:
    """`[C, H, W]` to `[C k², L]` (im2col); a channel becomes k² of them."""
    source = call.args[0]
    if call.func is Tensor.unfold:
        return None
    axis = _zeros(call, source, -3)
    times = call.out.shape[-2] // source.shape[-3]
    spread = axis and axis.take(np.repeat(np.arange(axis.size), times))
    return TensorLabels((*call.layout(source).axes[:-3], spread, None))


@operator("fold", keeps_zero=True)
def fold(call: Call) -> TensorLabels:
    """`[C k², L]` to `[C, H, W]` (col2im): the k² channels of a patch stand together."""
    source = call.args[0]
    axis = _zeros(call, source, -2)
    merged = None if axis is None else _first_of(call, axis, axis.size // call.out.shape[-3])
    return TensorLabels((*call.layout(source).axes[:-2], merged, None, None))


@operator("channel_shuffle", keeps_zero=True)
@operator("native_channel_shuffle")
def channel_shuffle(call: Call) -> TensorLabels:
    """`[g, C / g]` transposed: a channel leaves from all groups at once."""
    source, groups = call.args[0], int(call.arg(1, "groups"))
    axis = call.layout(source).axes[1]
    if axis is None:
        return call.layout(source)
    grid = axis.labels.reshape(groups, -1)
    call.bind(grid, np.broadcast_to(grid[:1], grid.shape))
    order = np.arange(axis.size).reshape(groups, -1).T.ravel()
    return call.layout(source).replace({1: axis.take(order)})


def _zeros(call: Call, source: Tensor, position: int) -> AxisLabels | None:
    """An axis of which only the zero slices stay constant."""
    axis = call.layout(source).axes[position]
    if axis is None or not call.tape.constants:
        return axis
    return AxisLabels(axis.labels, zero_slices(source, call.layout(source), position))


def _first_of(call: Call, axis: AxisLabels, times: int) -> AxisLabels:
    grid = axis.labels.reshape(-1, times)
    call.bind(grid, np.broadcast_to(grid[:, :1], grid.shape))
    return AxisLabels(grid[:, 0].copy(), np.all(axis.const.reshape(-1, times), axis=1))


def reshaped(
    call: Call, layout: TensorLabels, before: Sequence[int], after: Sequence[int]
) -> TensorLabels | None:
    """The layout after a reshape from one shape to another."""
    axes: list[AxisLabels | None] = [None] * len(after)
    for old, new in blocks(before, after):
        labelled = [position for position in old if layout.axes[position] is not None]
        if not labelled:
            continue
        if len(old) == 1 and len(new) == 1:
            axes[new[0]] = layout.axes[old[0]]
            continue
        for position in labelled[1:]:
            call.pin(layout.axes[position], "merged with another labelled axis")
        _block(call, layout, before, after, labelled[0], old, new, axes)
    return TensorLabels(tuple(axes), layout.constant)


def _block(
    call: Call,
    layout: TensorLabels,
    before: Sequence[int],
    after: Sequence[int],
    position: int,
    old: list[int],
    new: list[int],
    axes: list[AxisLabels | None],
) -> None:
    axis = layout.axes[position] or fixed(before[position])
    shape = [1] * len(old)
    shape[old.index(position)] = axis.size
    grid = np.broadcast_to(np.arange(axis.size).reshape(shape), [before[p] for p in old]).reshape(
        [after[p] for p in new]
    )
    labels = axis.labels[grid]
    varying = [n for n in range(len(new)) if not _same_along(grid, n)]
    if not varying:
        call.pin(axis, "split in a way that is no grid")
        return
    taken = varying[call.choose(len(varying), axis.labels) if len(varying) > 1 else 0]
    front = np.moveaxis(labels, taken, 0).reshape(labels.shape[taken], -1)
    flags = np.moveaxis(axis.const[grid], taken, 0).reshape(front.shape)
    call.bind(front, np.broadcast_to(front[:, :1], front.shape))
    axes[new[taken]] = AxisLabels(front[:, 0].copy(), np.all(flags, axis=1))


def _same_along(grid: np.ndarray[tuple[int, ...], np.dtype[np.int64]], axis: int) -> bool:
    return grid.shape[axis] == 1 or bool((grid == grid.take([0], axis)).all())


def blocks(before: Sequence[int], after: Sequence[int]) -> Iterator[Block]:
    """Pair runs of axes with equal products, smallest runs first; axes of size one aside.

    Example:
        >>> list(blocks([2, 12, 5], [2, 3, 4, 5]))
        [([0], [0]), ([1], [1, 2]), ([2], [3])]
    """
    left = [position for position, size in enumerate(before) if size != 1]
    right = [position for position, size in enumerate(after) if size != 1]
    while left and right:
        old, new = [left.pop(0)], [right.pop(0)]
        have, want = before[old[0]], after[new[0]]
        while have != want:
            if have < want:
                old.append(left.pop(0))
                have *= before[old[-1]]
            else:
                new.append(right.pop(0))
                want *= after[new[-1]]
        yield old, new
