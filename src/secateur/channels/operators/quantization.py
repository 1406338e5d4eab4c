"""Fake quantization: element by element it keeps zeros; statistics over channels hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.elementwise import elementwise
from secateur.channels.operators.registry import operator

OBSERVED = "its observer is on; disable_observer of torch.ao.quantization turns it off"

# What torch takes for a zero point lies among the numbers that it quantises to, so zero is one.
operator(
    "fake_quantize_per_tensor_affine",
    follows_any_cut=True,
    keeps_zero=zeros.of_one,
    keeps_shape=True,
    values_from_numbers=True,
)(elementwise)


def _keeps_zero(call: Call, _: Sequence[TensorLabels]) -> bool:
    return not call.layout(call.arg(0, "input")).may_be_nonzero


@operator("fake_quantize_per_channel_affine", follows_any_cut=True, keeps_zero=_keeps_zero)
def by_channel(call: Call) -> TensorLabels:
    """One scale and one zero point for each index of an axis."""
    vectors = [call.arg(1, "scale"), call.arg(2, "zero_point")]
    return _tied(call, call.arg(0, "input"), vectors, call.arg(3, "axis"))


@operator("fused_moving_avg_obs_fake_quant", follows_any_cut=True, keeps_zero=_keeps_zero)
def observed(call: Call) -> TensorLabels | None:
    """The same, for a whole tensor or by channel, after an observer has looked at the tensor.

    An observer that is on takes the extremes over all that it sees, zeros of pruned channels
    among them, and remembers them.
    """
    source: Tensor = call.arg(0, "input")
    vectors = [call.arg(n, name) for n, name in enumerate(_VECTORS, 3)]
    if not _is_off(call.arg(1, "observer_on")):
        call.pin_axes(call.layout(source), reason=OBSERVED)
        for one in vectors:
            call.pin_axes(call.layout(one), reason=OBSERVED)
        return TensorLabels((None,) * source.dim())
    by_row = call.arg(11, "per_row_fake_quant", False)
    return _tied(call, source, vectors if by_row else [], call.arg(10, "ch_axis"))


_VECTORS = ("running_min", "running_max", "scale", "zero_point")


def _is_off(switch: Any) -> bool:
    return not bool(switch.any())


def _tied(call: Call, source: Tensor, vectors: list[Tensor], axis: int) -> TensorLabels:
    layout = call.layout(source)
    tied = own = layout.axes[axis]
    if not vectors or own is None:
        call.pin_axes(TensorLabels(tuple(call.layout(one).axes[0] for one in vectors)))
        return layout
    for vector in vectors:
        tied = call.tie(tied, call.layout(vector).axes[0])
    const = own.const
    if call.tape.constants and not all(call.layout(one).constant for one in vectors):
        const = zero_slices(source, layout, axis)
    return layout.replace({axis % source.dim(): tied and AxisLabels(tied.labels, const)})
