"""Pooling, interpolation and their like: space changes, channels stay."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.op_call import Call
from secateur.channels.operators.registry import operator
from secateur.foundation.run_example import tensors_in

POOLS = [
    f"{kind}{rank}d"
    for kind in ("max_pool", "adaptive_avg_pool", "adaptive_max_pool", "fractional_max_pool")
    for rank in (1, 2, 3)
]
PADDED = [f"{kind}{rank}d" for kind in ("avg_pool", "lp_pool") for rank in (1, 2, 3)]


@operator(
    *POOLS,
    *("interpolate", "upsample_nearest", "upsample_bilinear"),
    follows_any_cut=True,
    keeps_zero=True,
)
@operator("upsample", *(f"{name}_with_indices" for name in POOLS))
def pooled(call: Call) -> list[TensorLabels]:
    """Averages and maxima over space: a constant channel stays the same constant."""
    return _spatial(call, keeps_constants=True)


@operator(*PADDED, follows_any_cut=True, keeps_zero=True)
@operator("max_unpool1d", "max_unpool2d", "max_unpool3d", "grid_sample")
def padded(call: Call) -> list[TensorLabels]:
    """A constant may change at the border, a zero stays zero."""
    return _spatial(call, keeps_constants=False)


def _spatial(call: Call, *, keeps_constants: bool) -> list[TensorLabels]:
    source = call.arg(0, "input")
    layout = call.layout(source)
    outputs = tensors_in(call.out)
    rank = _spatial_rank(call.name, source)
    channel = source.dim() - rank - 1
    for axis in layout.axes[channel + 1 :]:
        call.pin(axis, "spatial axis")
    axis = layout.axes[channel]
    if "unpool" in call.name:
        axis = call.tie(axis, call.layout(call.arg(1, "indices")).axes[channel])
    if axis is not None and not keeps_constants:
        const = zero_slices(source, layout, channel) if call.tape.constants else axis.const
        axis = AxisLabels(axis.labels, const)
    result = TensorLabels((*layout.axes[:channel], axis, *(None,) * rank), layout.constant)
    extra = TensorLabels((*layout.axes[:channel], _moving(axis), *(None,) * rank), layout.constant)
    return [result, *(extra for _ in outputs[1:])]


def _moving(axis: AxisLabels | None) -> AxisLabels | None:
    return axis and AxisLabels(axis.labels, np.zeros(axis.size, np.bool_))


def _spatial_rank(name: str, source: Tensor) -> int:
    for rank in (1, 2, 3):
        if f"{rank}d" in name:
            return rank
    return source.dim() - 2
