"""Usage: which parameters a network multiplies its activations with, as seen in one pass.

A layer of a user's own says nothing about its parameters: one may be a matrix, a scale, a table of
positions. Running it shows what each is. Followed are the parameters and what is computed from
them alone (transposed, reshaped, cast, masked); what meets an activation in a matrix product or a
convolution is a weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateur.foundation.run_example import Inputs, arguments, run_example, tensors_in

WeightKind = Literal["conv", "linear"]

# What these multiply, by position and by name.
_LAYERS = {"linear": (1, "weight"), "bilinear": (2, "weight"), "conv": (1, "weight")}
_PRODUCTS = frozenset(
    (
        *("matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "inner", "einsum"),
        *("tensordot", "multi_dot", "chain_matmul", "_grouped_mm", "grouped_mm", "lstm", "gru"),
        *("rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
        "multi_head_attention_forward",
    )
)
# Their first operand is only added.
_SUMS = frozenset(
    ("addmm", "addmm_", "baddbmm", "baddbmm_", "addbmm", "addbmm_", "addmv", "addmv_")
)
_LOOKUPS = frozenset(("embedding", "embedding_bag", "index_select", "gather", "take"))
_MARK = "_secateur_made_of"


@dataclass(frozen=True)
class Usage:
    """What one pass showed.

    Attributes:
        kinds: By the id of a parameter: it multiplies activations, in a convolution or elsewhere.
        met: The ids of all parameters that the pass met.
    """

    kinds: Mapping[int, WeightKind]
    met: frozenset[int]


def usage(model: nn.Module, example_inputs: Inputs) -> Usage:
    """Run a network once and see what its parameters are used for.

    Raises:
        ModelError: The network fails on the example.

    Example:
        >>> import torch
        >>> net = nn.Bilinear(2, 2, 3)
        >>> seen = usage(net, (torch.ones(1, 2), torch.ones(1, 2)))
        >>> seen.kinds[id(net.weight)], id(net.bias) in seen.kinds
        ('linear', False)
    """
    watch = _Watch(model)
    inputs = arguments(example_inputs)
    for tensor in tensors_in(inputs):
        setattr(tensor, _MARK, None)
    args, kwargs = inputs
    with watch:
        run_example(model, kwargs or args)
    return Usage(watch.kinds, frozenset(watch.met))


class _Watch(TorchFunctionMode):
    """Marks each tensor with the parameters that it is made of; None where it is an activation."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._parameters = {id(parameter) for parameter in model.parameters()}
        self.kinds: dict[int, WeightKind] = {}
        self.met: set[int] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        for operand, kind in _operands(name, args, kwargs):
            for parameter in self._made_of(operand) or ():
                if self.kinds.get(parameter) != "conv":
                    self.kinds[parameter] = kind
        made = self._together(name, args, kwargs)
        result = func(*args, **kwargs)
        if made != frozenset():
            for tensor in tensors_in(result):
                if id(tensor) not in self._parameters:
                    setattr(tensor, _MARK, made)
        return result

    def _made_of(self, tensor: Tensor) -> frozenset[int] | None:
        if id(tensor) in self._parameters:
            self.met.add(id(tensor))
            return frozenset((id(tensor),))
        made: frozenset[int] | None = getattr(tensor, _MARK, frozenset())
        return made

    def _together(self, name: str, args: Any, kwargs: Any) -> frozenset[int] | None:
        """What a result is made of: parameters alone, or an activation, or (empty) neither."""
        sources = [self._made_of(tensor) for tensor in tensors_in((args, kwargs))]
        known = [source for source in sources if source is not None]
        if len(known) < len(sources):
            return None
        found = frozenset[int]().union(*known)
        indexed = name == "__getitem__" and len(tensors_in(args)) > 1
        return None if found and (name in _LOOKUPS or indexed) else found


def _operands(name: str, args: Any, kwargs: Any) -> Iterator[tuple[Tensor, WeightKind]]:
    """What an operator multiplies its input with."""
    kind: WeightKind = "conv" if name.startswith("conv") else "linear"
    place = _LAYERS.get("conv" if kind == "conv" else name)
    if place is not None:
        number, word = place
        given = kwargs.get(word, args[number] if len(args) > number else None)
        yield from ((tensor, kind) for tensor in tensors_in(given))
    elif name in _PRODUCTS:
        for tensor in tensors_in((args, kwargs)):
            if tensor.ndim >= 2:
                yield tensor, kind
    elif name in _SUMS:
        named = [value for word, value in kwargs.items() if word != "input"]
        for tensor in tensors_in((args[1:], named)):
            yield tensor, kind
