"""Packed sequences: the steps of several sequences behind one another; channels stay channels."""

from __future__ import annotations

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels, plain
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.op_call import Call
from secateur.channels.operators.registry import operator


@operator("pack_padded_sequence", keeps_zero=True)
def pack(call: Call) -> list[TensorLabels]:
    """`[T, N, ...]` to the steps of all sequences; how many there are, the lengths say."""
    source, lengths = call.args[:2]
    layout = call.layout(source)
    call.pin_axes(layout, range(2, source.dim()), reason="steps of sequences")
    sizes = plain(1, given=call.layout(lengths).given or call.layout(lengths).constant)
    return [TensorLabels((None, *layout.axes[2:]), layout.constant), sizes]


@operator("pad_packed_sequence", keeps_zero=True)
def unpack(call: Call) -> list[TensorLabels]:
    """The steps as `[T, N, ...]` again; a channel stays zero where the padding is zero."""
    source, sizes = call.args[:2]
    layout = call.layout(source)
    call.pin(layout.axes[0], "steps of sequences")
    padding = call.arg(3, "padding_value", 0.0)
    axes = [
        axis and AxisLabels(axis.labels, zero_slices(source, layout, position) & (padding == 0))
        for position, axis in enumerate(layout.axes)
        if position
    ]
    lengths = plain(1, given=call.layout(sizes).given or call.layout(sizes).constant)
    return [TensorLabels((None, None, *axes)), lengths]
