"""Elements chosen by a mask: what is zero on both sides stays zero, whatever the mask."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, Flags, TensorLabels
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.elementwise import meet
from secateur.channels.operators.registry import operator
from secateur.foundation.run_example import tensors_in


@operator(
    *("where", "masked_fill"),
    follows_any_cut=True,
    keeps_zero=zeros.of_choice,
    values_from_numbers=True,
)
def chosen(call: Call) -> TensorLabels | None:
    """`mask ? x : y`: all that meets is tied; a channel that is zero in both is zero."""
    sides = zeros.sides_of(call)
    if len(sides) < 2:
        return None
    layout = meet(call, tensors_in((call.args, call.kwargs)), call.out)
    if not call.tape.constants:
        return layout
    axes = [
        axis and AxisLabels(axis.labels, axis.const | _zero(call, sides, position - call.out.dim()))
        for position, axis in enumerate(layout.axes)
    ]
    return TensorLabels(tuple(axes), layout.constant)


def _zero(call: Call, sides: tuple[object, ...], back: int) -> Flags:
    size = call.out.shape[back]
    zero: Flags = np.ones(size, np.bool_)
    for side in sides:
        zero &= _zero_in(call, side, back, size)
    return zero


def _zero_in(call: Call, side: object, back: int, size: int) -> Flags:
    if not isinstance(side, Tensor):
        return np.full(size, side == 0, np.bool_)
    layout = call.layout(side)
    if side.dim() >= -back and side.shape[back] == size:
        return zero_slices(side, layout, back)
    return np.full(size, layout.constant and not bool(side.any()), np.bool_)
