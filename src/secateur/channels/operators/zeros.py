"""Zeros: whether an operator gives zero for a channel that is zero in its arguments.

Tests for the trait `keeps_zero`, where the answer depends on the arguments of a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from secateur.channels.labels.axis_labels import TensorLabels
from secateur.channels.labels.op_call import Call
from secateur.foundation.run_example import tensors_in


def of_one(call: Call, _: Sequence[TensorLabels]) -> bool:
    """An element-wise function of one tensor: it is asked what it makes of zero."""
    inputs = _labelled(call)
    return len(inputs) <= 1 and _are_zero(inputs) and _is_zero_at_zero(call)


def of_layer(call: Call, _: Sequence[TensorLabels]) -> bool:
    """A convolution, a linear layer, an embedding: zero where the rows of its weight are."""
    source: Tensor = call.args[0] if call.args else call.kwargs["input"]
    leading = call.layout(source).axes[:-1] if call.name == "linear" else ()
    if call.name == "addmm":
        leading = call.layout(call.args[1]).axes[:-1]
    weights = [one for one in call.inputs.values() if one.constant]
    return not any(axis and not axis.is_fixed for axis in leading) and _are_zero(weights)


def of_product(call: Call, layouts: Sequence[TensorLabels]) -> bool:
    """One factor that is zero is enough, if it has the axis."""
    return _product_is_zero(call, layouts[0], 0)


def of_added_product(call: Call, layouts: Sequence[TensorLabels]) -> bool:
    """A tensor plus a product of two others (`baddbmm`)."""
    layout = layouts[0]
    return _product_is_zero(call, layout, 1) and _all_reach(call, call.args[:1], layout)


def of_sum(call: Call, layouts: Sequence[TensorLabels]) -> bool:
    """Every term must be zero, and have the axis: a broadcast one is added to all channels."""
    numbers = [one for one in call.args[:2] if not isinstance(one, Tensor)]
    return not any(numbers) and _all_reach(call, tensors_in(call.args), layouts[0])


def of_choice(call: Call, layouts: Sequence[TensorLabels]) -> bool:
    """Both sides of a `where` must be zero; a literal zero is, wherever it reaches."""
    sides = sides_of(call)
    terms = [one for one in sides if isinstance(one, Tensor) and not _is_nothing(call, one)]
    numbers = [one for one in sides if not isinstance(one, Tensor)]
    return not any(numbers) and _all_reach(call, terms, layouts[0])


def of_affine(call: Call, _: Sequence[TensorLabels]) -> bool:
    """A norm over each channel: zero where both its scale and its shift are."""
    affine = [call.kwargs.get("weight"), call.kwargs.get("bias")]
    if None in affine:
        affine = list(call.args[2:4] if call.name == "group_norm" else call.args[3:5])
    known = [call.layout(one) for one in affine if one is not None]
    return len(known) == 2 and _are_zero(known)


def of_quotient(call: Call, _: Sequence[TensorLabels]) -> bool:
    """A zero divided by a number; a tensor may hold a zero itself."""
    return not isinstance(call.args[1], Tensor) and _are_zero(_labelled(call))


def of_padded(call: Call, _: Sequence[TensorLabels]) -> bool:
    """Padding with zeros."""
    literal = call.arg(2, "mode", "constant") != "constant" or call.arg(3, "value", None)
    return not literal and _are_zero(_labelled(call))


def of_attended(call: Call, _: Sequence[TensorLabels]) -> bool:
    """Attention gives averages of its values."""
    return _are_zero([call.layout(call.arg(2, "value"))])


def sides_of(call: Call) -> tuple[object, ...]:
    """What the elements of a `where` come from, tensors or numbers: not the mask."""
    return call.args[1:3] if call.name == "where" else (call.args[0], *call.args[2:3])


def _labelled(call: Call) -> list[TensorLabels]:
    return [one for one in call.inputs.values() if any(one.axes)]


def _are_zero(layouts: Sequence[TensorLabels]) -> bool:
    return not any(one.may_be_nonzero for one in layouts)


def _is_zero_at_zero(call: Call) -> bool:
    if "dropout" in call.name:
        return True
    # A kernel of somebody else's may take no other shape, type or device than it was called with.
    foreign = call.args and ("::" in call.name or "." in call.name)
    zero = torch.zeros_like(call.args[0]) if foreign else torch.zeros(1)
    try:
        out: Any = call.func(zero, *call.args[1:], **call.kwargs)
    except Exception:
        return False  # nothing is claimed: a pass over the zeroed network finds it out
    return isinstance(out, Tensor) and not bool(out.any())


def _product_is_zero(call: Call, layout: TensorLabels, start: int) -> bool:
    if call.name in ("einsum", "bilinear"):
        return _are_zero(list(call.inputs.values()))
    factors = [call.layout(one) for one in call.args[start : start + 2] if isinstance(one, Tensor)]
    plain = call.name in ("mul", "multiply") or len(factors) < 2
    for back, axis in enumerate(reversed(layout.axes), 1):
        # The last axis of a matrix product is the right factor's, the one before it the left's.
        own = factors if plain or back > 2 else factors[2 - back : 3 - back]
        if axis is not None and not any(
            not one.may_be_nonzero and len(one.axes) >= back and one.axes[-back] is not None
            for one in own
        ):
            return False
    return True


def _all_reach(call: Call, terms: Sequence[Tensor], layout: TensorLabels) -> bool:
    """Whether each term is zero, and has every channel that the result has."""
    shape: Sequence[int] = call.out.shape
    return _are_zero([call.layout(term) for term in terms]) and not any(
        axis is not None and (term.dim() < back or term.shape[-back] != shape[-back])
        for back, axis in enumerate(reversed(layout.axes), 1)
        for term in terms
    )


def _is_nothing(call: Call, tensor: Tensor) -> bool:
    """Whether a tensor is a literal of zeros: no parameter, no buffer, no input."""
    layout = call.layout(tensor)
    literal = layout.constant and layout.given and not layout.may_be_nonzero
    return bool(literal) and not bool(tensor.any())
