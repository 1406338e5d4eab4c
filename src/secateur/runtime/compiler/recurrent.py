"""Recurrent: an LSTM or GRU whose matrices are sparse, step by step on the kernels.

What is read at all steps is multiplied at once, row by row; what a step hands to the next one is
multiplied at each. The gates between are torch's. The formulas are those of `nn.LSTM` and `nn.GRU`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from secateur.runtime.compiler.graph import Node, NodeKind, Read
from secateur.runtime.compiler.packing import Packs
from secateur.runtime.compiler.segment import Segment
from secateur.runtime.kernels.structs import Layout

aten = torch.ops.aten

_SPARSE = 0.7
"""A matrix with a lower share of zeros stays dense."""

Product = Callable[[Tensor], Tensor]
_Step = Callable[[Tensor, Tensor, list[Tensor]], list[Tensor]]


def is_recurrent(node: Node) -> bool:
    """Whether a node is an LSTM or GRU in fp32, sparse enough for the kernels."""
    if node.kind is not NodeKind.TORCH or node.options.get("operator") not in _STEPS:
        return False
    given = node.options["given"]
    params = given.get("params")
    if not isinstance(given.get("input"), Read) or not isinstance(params, list | tuple):
        return False
    if given.get("train") or not all(isinstance(one, Tensor) for one in params):
        return False
    weights = [one for one in params if one.dim() == 2]
    # One matrix for the input and one for the state, and, with biases, one of each: no projection.
    each = 4 if given["has_biases"] else 2
    layers = given["num_layers"] * (1 + bool(given["bidirectional"]))
    whole = len(params) == each * layers and all(one.dtype == torch.float32 for one in params)
    return whole and any(_is_sparse(one) for one in weights)


def _is_sparse(weight: Tensor) -> bool:
    return int((weight == 0).sum()) >= _SPARSE * weight.numel()


def recurrent(node: Node, *, batch: int, threads: int, packs: Packs) -> Callable[..., Any]:
    """What the node does to the values of its inputs.

    Args:
        node: One that `is_recurrent`.
        batch: The size of the batch to tune for.
        threads: Threads inside a product.
        packs: Where packed weights are kept.
    """
    given = node.options["given"]
    params: list[Tensor] = list(given["params"])
    each = 4 if given["has_biases"] else 2
    places = range(0, len(params), each)

    def product(weight: Tensor, bias: Tensor | None) -> Product:
        return _product(weight, bias, batch, threads, packs)

    made = []
    for place in places:
        weights = params[place : place + 2]
        biases: list[Tensor | None] = [*params[place + 2 : place + each]] or [None, None]
        made.append([product(one, bias) for one, bias in zip(weights, biases, strict=True)])
    runner = _Recurrent(made, _STEPS[node.options["operator"]], given)
    return lambda *values: runner(*[_filled(given[name], values) for name in ("input", "hx")])


def _filled(given: Any, values: Sequence[Any]) -> Any:
    if isinstance(given, Read):
        return values[given.place]
    return [_filled(one, values) for one in given] if isinstance(given, list | tuple) else given


def _product(
    weight: Tensor, bias: Tensor | None, batch: int, threads: int, packs: Packs
) -> Product:
    if not _is_sparse(weight):
        return lambda x: functional.linear(x, weight, bias)
    value = Node(NodeKind.INPUT, "rows", (), None, dims=(None, weight.shape[1]))
    node = Node(NodeKind.LINEAR, "rows", (value,), None, weight.contiguous(), bias, rows=1)
    node.dims = (None, weight.shape[0])
    made = Segment([node], [node], layout=Layout.PLAIN, batch=batch, threads=threads, packs=packs)
    return lambda x: made.run([x])[0]


class _Recurrent:
    """Runs layer after layer, and of each the one direction and the other."""

    def __init__(
        self, products: Sequence[Sequence[Product]], step: _Step, given: dict[str, Any]
    ) -> None:
        self._products = products
        self._step = step
        self._directions = 2 if given["bidirectional"] else 1
        self._layers = given["num_layers"]
        self._batch_first = given["batch_first"]

    def __call__(self, x: Tensor, first: Any) -> tuple[Tensor, ...]:
        states = list(first) if isinstance(first, list | tuple) else [first]
        alone = x.dim() == 2
        if alone:
            x, states = x.unsqueeze(1), [one.unsqueeze(1) for one in states]
        elif self._batch_first:
            x = x.transpose(0, 1)
        last = []
        for layer in range(self._layers):
            outputs = []
            for direction in range(self._directions):
                place = layer * self._directions + direction
                made, state = self._along(place, x, [one[place] for one in states], direction)
                outputs.append(made)
                last.append(state)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
        ends = [torch.stack(each) for each in zip(*last, strict=True)]
        if alone:
            return x.squeeze(1), *[one.squeeze(1) for one in ends]
        return (x.transpose(0, 1) if self._batch_first else x), *ends

    def _along(
        self, place: int, x: Tensor, state: list[Tensor], direction: int
    ) -> tuple[Tensor, list[Tensor]]:
        """One layer in one direction: the outputs of all steps, and the last state."""
        of_input, of_state = self._products[place]
        read = of_input(x.contiguous()).unbind(0)
        outputs = []
        for step in reversed(read) if direction else read:
            state = self._step(step, of_state(state[0]), state)
            outputs.append(state[0])
        return torch.stack(outputs[::-1] if direction else outputs), state


def _lstm(read: Tensor, kept: Tensor, state: list[Tensor]) -> list[Tensor]:
    enter, forget, new, leave = (read + kept).chunk(4, -1)
    cell = forget.sigmoid() * state[1] + enter.sigmoid() * new.tanh()
    return [leave.sigmoid() * cell.tanh(), cell]


def _gru(read: Tensor, kept: Tensor, state: list[Tensor]) -> list[Tensor]:
    reset_read, keep_read, new_read = read.chunk(3, -1)
    reset_kept, keep_kept, new_kept = kept.chunk(3, -1)
    new = torch.addcmul(new_read, (reset_read + reset_kept).sigmoid(), new_kept).tanh()
    return [torch.lerp(new, state[0], (keep_read + keep_kept).sigmoid())]


_STEPS: dict[Any, _Step] = {aten.lstm: _lstm, aten.gru: _gru}
