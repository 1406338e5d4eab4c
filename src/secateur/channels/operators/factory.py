"""Tensors made on the way: their axes belong to no one yet."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels
from secateur.channels.labels.op_call import Call
from secateur.channels.operators.registry import operator

LITERALS = [
    "ones",
    "full",
    "ones_like",
    "full_like",
    "new_ones",
    "new_full",
    "arange",
    "eye",
    "tensor",
    "as_tensor",
    "scalar_tensor",
    "tril_indices",
    "triu_indices",
]
# What lies in empty memory is nobody's constant, and kernels write there unseen.
EMPTY = ["empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"]
RANDOM = [
    "rand",
    "randn",
    "rand_like",
    "randn_like",
    "randint",
    "randint_like",
    "normal",
    "bernoulli",
    "randperm",
    "poisson",
    "multinomial",
    "uniform",
    "exponential",
    "geometric",
    "cauchy",
    "log_normal",
    "random",
]


@operator("zeros", "zeros_like", "new_zeros", keeps_zero=True)
@operator("linspace", values_from_numbers=True)
@operator(*LITERALS)
def made(call: Call) -> TensorLabels:
    """A literal; a dry run of the cut finds out whether its sizes follow the cut."""
    return TensorLabels(_shape(call, const=True), constant=True)


@operator(*RANDOM, *EMPTY)
def drawn(call: Call) -> TensorLabels:
    """Random numbers, or none yet: free, and not constant."""
    return TensorLabels(_shape(call))


def _shape(call: Call, *, const: bool = False) -> tuple[AxisLabels | None, ...]:
    """The axes of the tensor whose shape is taken, or fresh ones."""
    like = call.args[0] if call.args and call.name.endswith("_like") else None
    if call.name.startswith("new_") and isinstance(call.args[0], Tensor):
        like = call.args[0] if call.args[0].shape == call.out.shape else None
    axes = call.layout(like).axes if isinstance(like, Tensor) else (None,) * call.out.dim()
    return tuple(
        call.tape.ties.fresh(size)
        if axis is None and not isinstance(like, Tensor) and size > 1
        else axis and AxisLabels(axis.labels, np.full(size, const and call.tape.constants))
        for axis, size in zip(axes, call.out.shape, strict=True)
    )
