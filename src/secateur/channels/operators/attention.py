"""Attention: heads are a batch axis, widths are summed over, positions are averaged."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, Flags, TensorLabels, Vector, fixed
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.events import Read
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.conv_linear import contract, mark_roles
from secateur.channels.operators.matmul import letters
from secateur.channels.operators.registry import operator


@operator(
    "scaled_dot_product_attention",
    # Its scale is the root of a head's width, which is pinned there.
    follows_any_cut=True,
    keeps_zero=zeros.of_attended,
    sums_channels=True,
)
def scaled_dot_product(call: Call) -> TensorLabels | None:
    """`softmax(q k^T scale) v`; without a `scale` of its own, the width of a head is fixed.

    Of grouped queries a head of the keys and values leaves with all the queries that read it.
    """
    query, key, value = (call.arg(n, name) for n, name in enumerate(("query", "key", "value")))
    if call.kwargs.get("scale") is None:
        for tensor in (query, key):
            call.pin(call.layout(tensor).axes[-1], "scaled by its width")
    if not call.kwargs.get("enable_gqa"):
        return _attended(call, query, key, value)
    known = dict(call.inputs)
    key, value = (_for_each_query(call, tensor, query.shape[-3]) for tensor in (key, value))
    layout = _attended(call, query, key, value)
    call.inputs = known  # the repeated tensors end here, and their ids may be another's
    return layout


def _attended(call: Call, query: Tensor, key: Tensor, value: Tensor) -> TensorLabels:
    """What comes out where each head of the queries has keys and values of its own."""
    for tensor in (key, value):
        call.pin(call.layout(tensor).axes[-2], "averages positions")
    scores = letters(call, "...lc,...sc->...ls", (query, key), query.dim())
    mask = call.arg(3, "attn_mask")
    if isinstance(mask, Tensor):
        for back in range(1, mask.dim() + 1):
            if mask.shape[-back] > 1:
                call.tie(call.layout(mask).axes[-back], scores.axes[-back])
    axes = [
        call.tie(scores.axes[position], axis)
        for position, axis in enumerate(call.layout(value).axes[:-2])
    ]
    batch = [
        axis and AxisLabels(axis.labels, _still_zero(call, value, position))
        for position, axis in enumerate(axes)
    ]
    width = call.layout(value).axes[-1]
    last = width and AxisLabels(width.labels, _still_zero(call, value, value.dim() - 1))
    return TensorLabels((*batch, scores.axes[-2], last))


def _for_each_query(call: Call, tensor: Tensor, heads: int) -> Tensor:
    """Keys or values with a head for each query's, next to each other (torch's `enable_gqa`)."""
    layout, times = call.layout(tensor), heads // tensor.shape[-3]
    repeated, axis = tensor.repeat_interleave(times, -3), layout.axes[-3]
    spread = axis and axis.take(np.repeat(np.arange(axis.size), times))
    call.inputs[id(repeated)] = layout.replace({tensor.dim() - 3: spread})
    return repeated


def _still_zero(call: Call, value: Tensor, position: int) -> Flags:
    """The slices of the values that are zero: their averages are zero too."""
    return zero_slices(value, call.layout(value), position)


@operator("multi_head_attention_forward")
def multi_head(call: Call) -> list[TensorLabels] | None:
    """`nn.MultiheadAttention`: its inner width is its outer one, so a head leaves from both."""
    query, key, value = (call.arg(n, name) for n, name in enumerate(("query", "key", "value")))
    weight, bias = call.arg(5, "in_proj_weight"), call.arg(6, "in_proj_bias")
    extras = [call.arg(7, "bias_k"), call.arg(8, "bias_v")]
    if (
        call.arg(17, "use_separate_proj_weight")
        or weight is None
        or any(extra is not None for extra in extras)
    ):
        return None
    heads = int(call.arg(4, "num_heads"))
    rows = call.layout(weight).axes[0] or fixed(weight.shape[0])
    width = query.shape[-1]
    inner = rows.labels.reshape(3, heads, -1)
    unit = inner[0, :, 0]
    call.bind(inner, np.broadcast_to(unit[None, :, None], inner.shape))
    call.lengths.append(unit)
    call.tape.roles.heads.append(unit)
    mark_roles(call, None, rows)
    if bias is not None:
        call.tie(rows, call.layout(bias).axes[0])
    columns = call.layout(weight).axes[1] or fixed(weight.shape[1])
    by_head = np.repeat(unit, width // heads)
    call.bind(columns.labels, by_head)
    call.count(num_heads=unit, embed_dim=by_head, kdim=by_head, vdim=by_head)
    for tensor in (query, key, value):
        contract(call, tensor, -1, weight, 1, row_axis=0)
        call.pin_axes(call.layout(tensor), [-1], "averages positions")
    return _project(call, query, weight, bias, by_head, heads)


def _project(
    call: Call, query: Tensor, weight: Tensor, bias: Tensor | None, by_head: Vector, heads: int
) -> list[TensorLabels]:
    out_weight = call.arg(11, "out_proj_weight")
    out_bias = call.arg(12, "out_proj_bias")
    values = weight.detach().reshape(3, heads, -1)[2].ne(0).any(1).cpu().numpy()
    if bias is not None:
        values = values | bias.detach().reshape(3, heads, -1)[2].ne(0).any(1).cpu().numpy()
    zero = np.repeat(~values, by_head.size // heads)
    kernel = call.layout(out_weight)
    read_axis, rows = kernel.axes[1] or fixed(by_head.size), kernel.axes[0]
    call.bind(read_axis.labels, by_head)
    mark_roles(call, read_axis, rows)
    call.tape.reads.append(Read(call.path, call.name, by_head, zero, np.where(zero, 0.0, np.nan)))
    if out_bias is not None and rows is not None:
        rows = call.tie(rows, call.layout(out_bias).axes[0])
    const = ~out_weight.detach().ne(0).any(1).cpu().numpy()
    out = rows and AxisLabels(rows.labels, const)
    result = TensorLabels((*(None,) * (query.dim() - 1), out))
    weights = call.out[1]
    return [result] if weights is None else [result, TensorLabels((None,) * weights.dim())]
