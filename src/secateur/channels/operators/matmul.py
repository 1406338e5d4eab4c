"""Products of tensors: matmul in all its forms, einsum and bilinear, as one rule over letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, Flags, TensorLabels
from secateur.channels.labels.constant_propagation import zero_slices
from secateur.channels.labels.events import Read
from secateur.channels.labels.op_call import Call
from secateur.channels.operators import zeros
from secateur.channels.operators.registry import operator

Place = tuple[Tensor, TensorLabels, int]


@operator("einsum", follows_any_cut=True, keeps_zero=zeros.of_product, sums_channels=True)
def einsum(call: Call) -> TensorLabels | None:
    """Letters that meet are tied; letters that do not come out are summed over."""
    equation = call.args[0]
    if not isinstance(equation, str):
        return None
    operands = call.args[1:]
    if len(operands) == 1 and isinstance(operands[0], tuple | list):
        operands = tuple(operands[0])
    return letters(call, equation.replace(" ", ""), operands, call.out.dim())


@operator(
    "matmul",
    "__matmul__",
    "mm",
    "bmm",
    follows_any_cut=True,
    keeps_zero=zeros.of_product,
    sums_channels=True,
)
@operator("mv", "dot", "vdot", "chain_matmul")
def matmul(call: Call) -> TensorLabels | None:
    """`[..., m, k] [..., k, n]`, and the forms with vectors."""
    left, right = call.args[:2]
    return letters(call, _matmul_equation(left, right), (left, right), call.out.dim())


@operator("inner")
def inner(call: Call) -> TensorLabels | None:
    """The last axes of two tensors are summed over."""
    left, right = call.args[:2]
    if not (left.dim() and right.dim()):
        return None
    one, other = _names(left.dim(), "a"), _names(right.dim(), "n")
    equation = f"{one[:-1]}z,{other[:-1]}z->{one[:-1]}{other[:-1]}"
    return letters(call, equation, (left, right), call.out.dim())


@operator("tensordot")
def tensordot(call: Call) -> TensorLabels | None:
    """Some axes of two tensors are summed over, by number or by how many."""
    left, right, dims = call.args[0], call.args[1], call.arg(2, "dims", 2)
    if isinstance(dims, int):
        dims = list(range(-dims, 0)), list(range(dims))
    if not isinstance(dims, tuple | list) or len(dims) != 2:
        return None
    lefts, rights = ([one] if isinstance(one, int) else list(one) for one in dims)
    one, other = list(_names(left.dim(), "a")), list(_names(right.dim(), "n"))
    for first, second in zip(lefts, rights, strict=True):
        other[second] = one[first]
    kept = [name for name in (*one, *other) if not (name in one and name in other)]
    equation = f"{''.join(one)},{''.join(other)}->{''.join(kept)}"
    return letters(call, equation, (left, right), call.out.dim())


def _names(count: int, first: str) -> str:
    return "".join(chr(ord(first) + number) for number in range(count))


@operator("addbmm")
def summed_bmm(call: Call) -> TensorLabels | None:
    """`bias` and the products of all pairs of matrices, summed up."""
    bias, left, right = call.args[:3]
    return _plus(call, bias, letters(call, "bij,bjk->ik", (left, right), 2))


@operator("addmm", follows_any_cut=True, keeps_zero=zeros.of_layer, sums_channels=True)
@operator("addmv", "baddbmm", keeps_zero=zeros.of_added_product)
def added_matmul(call: Call) -> TensorLabels | None:
    """`bias + left @ right`."""
    bias, left, right = call.args[:3]
    equation = _matmul_equation(left, right)
    layout = _plus(call, bias, letters(call, equation, (left, right), call.out.dim()))
    call.count(nf=layout.axes[-1], nx=call.layout(left).axes[-1])
    return layout


def _plus(call: Call, bias: Tensor, product: TensorLabels) -> TensorLabels:
    """A product with a bias that is spread over it."""
    axes = list(product.axes)
    for back in range(1, min(bias.dim(), len(axes)) + 1):
        if bias.shape[-back] == call.out.shape[-back] > 1:
            tied = call.tie(axes[-back], call.layout(bias).axes[-back])
            axes[-back] = _sum_const(call, bias, product, tied, back)
    return TensorLabels(tuple(axes))


def _sum_const(
    call: Call, bias: Tensor, product: TensorLabels, axis: AxisLabels | None, back: int
) -> Any:
    before = product.axes[-back]
    if axis is None or before is None:
        return None
    if not call.layout(bias).constant:
        zero = before.const & zero_slices(bias, call.layout(bias), bias.dim() - back)
        return AxisLabels(axis.labels, zero)
    return AxisLabels(axis.labels, before.const)


@operator("bilinear", follows_any_cut=True, keeps_zero=zeros.of_product, sums_channels=True)
def bilinear(call: Call) -> TensorLabels | None:
    """`x[i] W[o, i, j] y[j] + b[o]`."""
    left, right, weight = (
        call.arg(0, "input1"),
        call.arg(1, "input2"),
        call.arg(2, "weight"),
    )
    product = letters(call, "...i,oij,...j->...o", (left, weight, right), call.out.dim())
    bias = call.arg(3, "bias")
    if bias is None:
        return product
    before = product.axes[-1]
    axis = call.tie(before, call.layout(bias).axes[0])
    if axis is not None and before is not None:
        axis = AxisLabels(axis.labels, before.const)
    call.count(
        in1_features=call.layout(left).axes[-1],
        in2_features=call.layout(right).axes[-1],
        out_features=axis,
    )
    return product.replace({len(product.axes) - 1: axis})


def _matmul_equation(left: Tensor, right: Tensor) -> str:
    first = "y" if left.dim() == 1 else "...xy"
    second = "y" if right.dim() == 1 else "...yz"
    out = ("x" if left.dim() > 1 else "") + ("z" if right.dim() > 1 else "")
    return f"{first},{second}->...{out}"


def letters(call: Call, equation: str, operands: Sequence[Tensor], rank: int) -> TensorLabels:
    """The layout of a product written as an einsum."""
    sources, _, target = equation.partition("->")
    terms = sources.split(",")
    if "->" not in equation:
        joined = "".join(terms).replace(".", "")
        target = ("..." if "..." in sources else "") + "".join(
            sorted(letter for letter in set(joined) if joined.count(letter) == 1)
        )
    target = _spell(target, rank)
    places: dict[str, list[Place]] = {}
    for term, tensor in zip(terms, operands, strict=True):
        layout = call.layout(tensor)
        for position, letter in enumerate(_spell(term, tensor.dim())):
            if tensor.shape[position] > 1:
                places.setdefault(letter, []).append((tensor, layout, position))
    axes: dict[str, AxisLabels | None] = {}
    for letter, where in places.items():
        axis = where[0][1].axes[where[0][2]]
        for _, layout, position in where[1:]:
            axis = call.tie(axis, layout.axes[position])
        axes[letter] = axis and AxisLabels(axis.labels, _zero(call, where, axis.size))
        if letter not in target and axis is not None:
            zero = _zero(call, [place for place in where if not place[1].constant], axis.size)
            idle = _zero(call, [place for place in where if place[1].constant], axis.size)
            values = np.where(zero, 0.0, np.nan)
            call.tape.reads.append(Read(call.path, call.name, axis.labels, zero, values, idle))
        _mark(call, letter, target, where)
    constant = all(call.layout(tensor).constant for tensor in operands)
    return TensorLabels(tuple(axes.get(letter) for letter in target), constant)


def _mark(call: Call, letter: str, target: str, where: Sequence[Place]) -> None:
    """A weight's summed letters read channels, its own letters compute them."""
    moving = sum(not layout.constant for _, layout, _ in where)
    if letter in target:
        call.tape.roles.heads += [
            axis.labels
            for _, layout, position in where
            if moving > 1 and (axis := layout.axes[position]) is not None
        ]
    for _, layout, position in where:
        axis = layout.axes[position]
        if not layout.constant or axis is None:
            continue
        if letter not in target:
            call.tape.roles.reads.append(axis.labels)
        elif not moving:
            call.tape.roles.writes.append((axis.labels, call.path, call.name))


def _zero(call: Call, where: Sequence[Place], size: int) -> Flags:
    zero = np.zeros(size, np.bool_)
    if call.tape.constants:
        for tensor, layout, position in where:
            if tensor.shape[position] == size:
                zero |= zero_slices(tensor, layout, position)
    return zero


def _spell(term: str, rank: int) -> str:
    """Letters for the axes under an ellipsis, counted from the right."""
    if "..." not in term:
        return term
    hidden = rank - len(term.replace("...", ""))
    return term.replace("...", "".join(chr(0x391 + n) for n in reversed(range(hidden))))
