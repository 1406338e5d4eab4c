"""Recurrent layers: a hidden unit is a row of every gate, and a column of what reads it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from secateur.channels.labels.axis_labels import AxisLabels, Flags, TensorLabels, Vector, fixed
from secateur.channels.labels.constant_propagation import used_slices, zero_slices
from secateur.channels.labels.events import Read
from secateur.channels.labels.op_call import Call
from secateur.channels.operators.conv_linear import contract, mark_roles
from secateur.channels.operators.registry import operator

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


@operator(*GATES)
def recurrent(call: Call) -> list[TensorLabels] | None:
    """A stack of layers: `hidden_size` is one number, so units leave all layers together."""
    source, state, weights = call.args[:3]
    has_biases, layers, _, _, bidirectional = call.args[3:8]
    if not isinstance(call.args[3], bool):  # a packed sequence, with its batch sizes behind it
        source, _, state, weights, has_biases, layers, _, _, bidirectional = call.args[:9]
    states = [state] if isinstance(state, Tensor) else list(state)
    ways = 2 if bidirectional else 1
    each = len(weights) // (layers * ways)
    if each != (4 if has_biases else 2):
        return None
    gates = GATES[call.name]
    unit = _block(call, weights[0], gates)
    zero = np.ones(unit.size, np.bool_)
    for tensor in states:
        axis = call.layout(tensor).axes[-1]
        call.tie(axis, AxisLabels(unit, np.zeros(unit.size, np.bool_)))
        zero &= zero_slices(tensor, call.layout(tensor), tensor.dim() - 1)
    cells = [weights[n : n + each] for n in range(0, len(weights), each)]
    for cell in cells:
        zero &= _zero_units(cell, gates)
    hidden = AxisLabels(unit, zero)
    call.count(hidden_size=unit, input_size=call.layout(source).axes[-1])
    for number, cell in enumerate(cells):
        _bind_cell(call, cell, gates, unit)
        _read_hidden(call, cell[1], hidden)
        if number < ways:
            contract(call, source, -1, cell[0], 1, row_axis=0)
        else:
            _read_hidden(call, cell[0], _joined(hidden, ways))
    call.pin_axes(call.layout(source), [-1], "runs along it")
    out = call.out[0]
    top = TensorLabels((*(None,) * (out.dim() - 1), _joined(hidden, ways)))
    rest = [TensorLabels((*(None,) * (t.dim() - 1), hidden)) for t in call.out[1:]]
    return [top, *rest]


@operator("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(call: Call) -> list[TensorLabels]:
    """One step of one layer; the states are ordinary activations."""
    source, state, *cell_weights = call.args
    weights = [weight for weight in cell_weights if weight is not None]
    gates = GATES[call.name.removesuffix("_cell")]
    states = [state] if isinstance(state, Tensor) else list(state)
    unit = _block(call, weights[0], gates)
    zero = _zero_units(weights, gates)
    for tensor in states:
        call.tie(call.layout(tensor).axes[-1], AxisLabels(unit, zero))
        zero = zero & zero_slices(tensor, call.layout(tensor), tensor.dim() - 1)
    hidden = AxisLabels(unit, zero)
    call.count(hidden_size=unit, input_size=call.layout(source).axes[-1])
    _bind_cell(call, weights, gates, unit)
    _read_hidden(call, weights[1], hidden)
    contract(call, source, -1, weights[0], 1, row_axis=0)
    outputs = [call.out] if isinstance(call.out, Tensor) else list(call.out)
    return [TensorLabels((*(None,) * (out.dim() - 1), hidden)) for out in outputs]


def _block(call: Call, weight: Tensor, gates: int) -> Vector:
    axis = call.layout(weight).axes[0] or fixed(weight.shape[0])
    first: Vector = axis.labels.reshape(gates, -1)[0]
    return first


def _bind_cell(call: Call, weights: Sequence[Tensor], gates: int, unit: Vector) -> None:
    for weight in weights:
        axis = call.layout(weight).axes[0] or fixed(weight.shape[0])
        block = axis.labels.reshape(gates, -1)
        call.bind(block, np.broadcast_to(unit, block.shape))
        if weight.dim() > 1:
            mark_roles(call, None, axis)


def _read_hidden(call: Call, weight: Tensor, hidden: AxisLabels) -> None:
    """A weight sums over the hidden units."""
    columns = call.tie(call.layout(weight).axes[1], hidden)
    mark_roles(call, call.layout(weight).axes[1], None)
    if columns is None:
        return
    rows = call.layout(weight).axes[0]
    values = np.where(hidden.const, 0.0, np.nan)
    read = Read(call.path, call.name, columns.labels, hidden.const, values)
    if call.tape.constants and rows is not None:
        read.rows, read.used = rows.labels, weight.detach().ne(0).cpu()
    call.tape.reads.append(read)


def _zero_units(weights: Sequence[Tensor], gates: int) -> Flags:
    """Units all of whose weights and biases are zero: they stay at zero once they are there."""
    zero: Flags = np.ones(weights[0].shape[0] // gates, np.bool_)
    for weight in weights:
        zero &= ~used_slices(weight, 0).reshape(gates, -1).any(0)
    return zero


def _joined(hidden: AxisLabels, ways: int) -> AxisLabels:
    return AxisLabels(np.tile(hidden.labels, ways), np.tile(hidden.const, ways))
