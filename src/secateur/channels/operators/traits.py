"""Natures: what an operator surely does, so that nobody has to try it out.

Two questions have a simple answer for most operators, and a costly experiment answers them for the
rest. Is it *free*: does it follow any cut, because no argument of it counts channels (else the cut
is rehearsed)? Is it *loud*: may its result be other than zero for a channel whose weights are all
zero (else the network runs again with channels zeroed)?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from secateur.channels.labels.axis_labels import Layout
from secateur.channels.labels.op_call import Call
from secateur.channels.labels.op_names import tensors_in
from secateur.channels.operators.elementwise import MEETING, ONE_TO_ONE
from secateur.channels.operators.pooling import SILENT, STEADY
from secateur.channels.operators.where import sides_of

ORDERS = ("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "T", "mT", "t")
POOLS = (*STEADY, *SILENT[:6], "interpolate", "upsample_nearest", "upsample_bilinear")
MEANS = ("mean", "sum", "amax", "amin", "max", "min")
JOINS = ("cat", "concat", "stack", "glu", "prelu", "pixel_shuffle", "pixel_unshuffle")
NORMS = ("batch_norm", "layer_norm", "instance_norm", "rms_norm", "softmax", "log_softmax")
VIEWS = frozenset(("view", "reshape"))
PARTS = ("split", "chunk", "unbind", "split_with_sizes", "__getitem__", "select", "narrow")
REPEATS = ("expand", "roll", "flip", "repeat", "repeat_interleave", "fold", "unfold")
PRODUCTS = frozenset(
    ("matmul", "__matmul__", "mm", "bmm", "grouped_mm", "einsum", "mul", "multiply", "bilinear")
)
CONVOLUTIONS = [f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)]
LAYERS = frozenset((*CONVOLUTIONS, "linear", "addmm", "embedding"))
CHOICES = frozenset(("where", "masked_fill"))
ADDED = frozenset(("baddbmm", "addmv"))
FREE = frozenset(
    {
        *(*ONE_TO_ONE, *MEETING, *ORDERS, *POOLS, *MEANS, *JOINS, *NORMS, *PRODUCTS),
        # The scale of attention is the root of a head's width, which is pinned there.
        *(
            "linear",
            "addmm",
            "embedding",
            "div",
            "true_divide",
            "scaled_dot_product_attention",
            "grouped_mm",
        ),
        *("flatten", "unsqueeze"),
        *CHOICES,
    }
)
MOVES = frozenset(
    {
        *(*ORDERS, *POOLS, *MEANS, *JOINS, *VIEWS, *PARTS, *REPEATS, "flatten", "unsqueeze"),
        *("squeeze", "unflatten", "channel_shuffle", "zeros", "zeros_like", "new_zeros"),
        *(
            "index_select",
            "gather",
            "take_along_dim",
            "pack_padded_sequence",
            "pad_packed_sequence",
        ),
    }
)


def is_free(call: Call, layouts: Sequence[Layout]) -> bool:
    """Whether an operator follows every cut that its ties allow, with the arguments as they are."""
    if call.name in FREE:
        return True
    if call.name in LAYERS:
        counted = (call.path, "groups") in call.tape.counts
        return counted or int(call.arg(6, "groups", 1)) == 1
    if call.name in VIEWS:
        return _infers_channels(call, layouts[0])
    if call.name == "chunk":
        first = call.out[0].shape
        return len(call.out) == call.arg(1, "chunks") and all(t.shape == first for t in call.out)
    if call.name == "__getitem__":
        return _indexes_beside(call)
    return call.name == "pad" and not call.lengths


def _indexes_beside(call: Call) -> bool:
    """Whether only axes without channels are indexed (`x[:, :, ::2]`)."""
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    if not all(isinstance(one, int | slice) for one in index):
        return False
    axes = call.layout(call.args[0]).axes
    return all(
        axis is None or axis.is_fixed or one == slice(None)
        for axis, one in zip(axes, index, strict=False)
    )


def _infers_channels(call: Call, layout: Layout) -> bool:
    """Whether a view leaves the axis that holds channels to be worked out (`-1`)."""
    shape = call.rest(1, "shape")
    if not isinstance(shape, tuple | list) or len(shape) != len(layout.axes):
        return False
    return all(
        axis is None or axis.is_fixed or size == -1
        for axis, size in zip(layout.axes, shape, strict=True)
    )


def is_loud(call: Call, layouts: Sequence[Layout]) -> bool:
    """Whether a result may be other than zero where its channels' own parameters are zero.

    Buffers and tensors made on the way are loud, parameters are not; what sums over a loud axis
    is to be tried out.
    """
    name, inputs = call.name, [one for one in call.inputs.values() if any(one.axes)]
    if name in MOVES:
        return any(one.loud for one in inputs)
    if name in ONE_TO_ONE:
        return any(one.loud for one in inputs) or len(inputs) > 1 or not _keeps_zero(call)
    if name in LAYERS:
        return _is_loud_layer(call)
    if name in PRODUCTS:
        return _is_loud_product(call, layouts[0])
    if name in ("add", "sub"):
        return _is_loud_sum(call, layouts[0])
    if name in CHOICES:
        return _is_loud_choice(call, layouts[0])
    if name in ADDED:
        return _is_loud_product(call, layouts[0], 1) or _misses(call, call.args[:1], layouts[0])
    if name in ("batch_norm", "instance_norm", "group_norm"):
        affine = [call.kwargs.get("weight"), call.kwargs.get("bias")]
        if None in affine:
            affine = list(call.args[2:4] if name == "group_norm" else call.args[3:5])
        return len(affine) < 2 or any(one is None or call.layout(one).loud for one in affine)
    if name in ("div", "true_divide"):
        return isinstance(call.args[1], Tensor) or any(one.loud for one in inputs)
    if name == "pad":
        literal = call.arg(2, "mode", "constant") != "constant" or call.arg(3, "value", None)
        return bool(literal) or any(one.loud for one in inputs)
    if name == "scaled_dot_product_attention":
        return call.layout(call.arg(2, "value")).loud
    return True


def _keeps_zero(call: Call) -> bool:
    """Whether an element-wise function of one tensor is zero at zero: it is asked."""
    if "dropout" in call.name:
        return True
    try:
        out: Any = call.func(torch.zeros(1), *call.args[1:], **call.kwargs)
    except (RuntimeError, TypeError):
        return False
    return isinstance(out, Tensor) and not bool(out.any())


def _is_loud_layer(call: Call) -> bool:
    source: Tensor = call.args[0] if call.args else call.kwargs["input"]
    leading = call.layout(source).axes[:-1] if call.name == "linear" else ()
    if call.name == "addmm":
        leading = call.layout(call.args[1]).axes[:-1]
    weights = [one for one in call.inputs.values() if one.constant]
    return any(axis and not axis.is_fixed for axis in leading) or any(w.loud for w in weights)


def _is_loud_product(call: Call, layout: Layout, start: int = 0) -> bool:
    """One factor that is silent is enough, if it has the axis."""
    if call.name in ("einsum", "bilinear"):
        return any(one.loud for one in call.inputs.values())
    factors = [call.layout(one) for one in call.args[start : start + 2] if isinstance(one, Tensor)]
    plain = call.name in ("mul", "multiply") or len(factors) < 2
    for back, axis in enumerate(reversed(layout.axes), 1):
        # The last axis of a matrix product is the right factor's, the one before it the left's.
        own = factors if plain or back > 2 else factors[2 - back : 3 - back]
        if axis is not None and not any(
            not one.loud and len(one.axes) >= back and one.axes[-back] is not None for one in own
        ):
            return True
    return False


def _is_loud_sum(call: Call, layout: Layout) -> bool:
    """Every term must be silent, and have the axis: a broadcast one is added to all channels."""
    terms = tensors_in(call.args)
    numbers = [one for one in call.args[:2] if not isinstance(one, Tensor)]
    return any(numbers) or _misses(call, terms, layout)


def _misses(call: Call, terms: Sequence[Tensor], layout: Layout) -> bool:
    """Whether a term is loud, or reaches channels that it does not have."""
    shape: Sequence[int] = call.out.shape
    return any(call.layout(term).loud for term in terms) or any(
        axis is not None and (term.dim() < back or term.shape[-back] != shape[-back])
        for back, axis in enumerate(reversed(layout.axes), 1)
        for term in terms
    )


def _is_loud_choice(call: Call, layout: Layout) -> bool:
    """Both sides must be silent; a literal zero is, wherever it reaches."""
    sides = sides_of(call)
    terms = [one for one in sides if isinstance(one, Tensor) and not _is_nothing(call, one)]
    numbers = [one for one in sides if not isinstance(one, Tensor)]
    return any(numbers) or _misses(call, terms, layout)


def _is_nothing(call: Call, tensor: Tensor) -> bool:
    """Whether a tensor is a literal of zeros: no parameter, no buffer, no input."""
    layout = call.layout(tensor)
    literal = layout.constant and layout.given and not layout.loud
    return bool(literal) and not bool(tensor.any())


def silences(call: Call) -> bool:
    """Whether a sum over channels hears nothing of those whose parameters are zero."""
    moving = [one for one in call.inputs.values() if not one.constant and any(one.axes)]
    known = call.name in LAYERS or call.name in PRODUCTS or call.name in MOVES
    known |= call.name == "scaled_dot_product_attention"
    return known and not all(one.loud for one in moving)


def touches(layouts: Sequence[Layout], lengths: Sequence[Any], flags: Any, component: Any) -> bool:
    """Whether any label of these layouts belongs to a class that is flagged."""
    labels = [axis.labels for layout in layouts for axis in layout.axes if axis is not None]
    return any(bool(flags[component[one]].any()) for one in (*labels, *lengths) if np.size(one))
