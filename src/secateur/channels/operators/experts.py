"""Products with one matrix for each expert: which expert a row meets depends on the data."""

from __future__ import annotations

from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.conv_linear import contract, output_axis
from secateur.channels.operators.registry import operator

ALIGNMENT = 16


@operator("grouped_mm", follows_any_cut=True, keeps_zero=zeros.of_product, sums_channels=True)
def grouped_matmul(call: Call) -> TensorLabels | None:
    """`x[s, i] W[e(s), i, o]`, rows sorted by expert: all experts lose the same channels."""
    source, weight = call.arg(0, "mat_a"), call.arg(1, "mat_b")
    if source.dim() != 2 or weight.dim() != 3 or call.arg(3, "bias") is not None:
        return None
    kernel = call.layout(weight)
    call.pin(kernel.axes[0], "chosen by the data")
    const = contract(call, source, 1, weight, 1, row_axis=2)
    out = output_axis(call, kernel.axes[2], None, const)
    _align(call, source, call.layout(source).axes[1])
    for position in (1, 2):
        if weight.stride(position) == 1:
            _align(call, weight, kernel.axes[position])
    return TensorLabels((call.layout(source).axes[0], out))


def _align(call: Call, tensor: Tensor, axis: AxisLabels | None) -> None:
    """The kernel takes rows of whole 16 bytes."""
    if axis is not None:
        call.tape.multiples.append((axis.labels, ALIGNMENT // tensor.element_size()))
