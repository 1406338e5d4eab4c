"""Reductions: over space they pass channels on, over channels they sum or pin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels, plain
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.events import Read
from secateur.channels.labels.op_call import Call
from secateur.channels.operators.elementwise import elementwise
from secateur.channels.operators.registry import operator
from secateur.foundation.run_example import tensors_in

SUMS = ("sum", "nansum", "norm", "linalg_vector_norm")
STEADY = frozenset(("mean", "amax", "amin", "max", "min", "median"))


@operator(
    *("sum", "mean", "amax", "amin", "max", "min"),
    follows_any_cut=True,
    keeps_zero=True,
    sums_channels=True,
)
@operator("nansum", "norm", "linalg_vector_norm", "nanmean", "argmax", "argmin", "var", "std")
@operator("prod", "logsumexp", "median", "any", "all", "var_mean", "std_mean", "count_nonzero")
@operator("aminmax")
def reduction(call: Call) -> TensorLabels | Sequence[TensorLabels] | None:
    """Reduce some axes; `sum` and norms let a zero channel leave, the rest hold it."""
    source = call.arg(0, "input")
    if len(tensors_in((call.args, call.kwargs))) > 1:
        return elementwise(call)
    outputs = tensors_in(call.out)
    if call.tape.is_guard(source):
        return [plain(tensor.dim()) for tensor in outputs]
    layout = call.layout(source)
    where = call.arg(1, "dim", call.kwargs.get("axis"))
    if call.name in ("norm", "linalg_vector_norm"):
        where = call.arg(2, "dim")
    if isinstance(where, bool):
        where = None
    dims = _dims(where, source.dim())
    for dim in dims:
        _reduce(call, source, layout, dim)
    keep = outputs[0].dim() == source.dim()
    steady = call.name in STEADY
    axes: list[AxisLabels | None] = []
    for position, axis in enumerate(layout.axes):
        if position in dims:
            axes += [None] if keep else []
        elif axis is None or steady:
            axes.append(axis)
        else:
            zero = axis.const
            if call.tape.constants and call.name in SUMS:
                zero = zero_slices(source, layout, position)
            axes.append(AxisLabels(axis.labels, zero if call.name in SUMS else np.zeros_like(zero)))
    result = TensorLabels(tuple(axes), layout.constant)
    return [result] * len(outputs)


def _dims(where: object, rank: int) -> set[int]:
    if where is None or where == ():
        return set(range(rank))
    listed = [where] if isinstance(where, int) else list(where)  # type: ignore[call-overload]
    return {dim % rank for dim in listed}


def _reduce(call: Call, source: Tensor, layout: TensorLabels, dim: int) -> None:
    axis = layout.axes[dim]
    if axis is None or axis.is_fixed:
        return
    if call.name not in SUMS:
        call.pin(axis, "averages channels")
        return
    zero = zero_slices(source, layout, dim)
    values = np.where(zero, 0.0, np.nan)
    call.tape.reads.append(Read(call.path, call.name, axis.labels, zero, values))
