"""Doubling: a network computes in float64 while its weights stay in their own type.

A float64 copy of a large network would take twice its memory. So a weight is converted where an
operator uses it, and small networks keep what was converted for the next use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateur.channels.operators import is_query, operator_name

KEPT_ELEMENTS = 1 << 25  # 256 MiB of float64


class Doubler:
    """Converts a network's own floating tensors wherever they occur in a tree of arguments.

    Args:
        model: The network; it is not touched.
    """

    def __init__(self, model: nn.Module) -> None:
        own = [*model.parameters(), *model.buffers()]
        self._own = {
            id(one): one for one in own if one.is_floating_point() and one.dtype != torch.float64
        }
        self._kept: dict[int, Tensor] = {}
        self._room = KEPT_ELEMENTS

    def run(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Call an operator on doubled arguments."""
        if not self._own:
            return func(*args, **kwargs)
        if is_query(name):
            result = func(*args, **kwargs)
            if isinstance(result, torch.dtype) and id(args[0]) in self._own:
                return torch.float64
            return result
        if name == "grouped_mm":
            return _grouped_product(func, *self.tree(args), **self.tree(kwargs))
        return func(*self.tree(args), **self.tree(kwargs))

    def tree(self, tree: Any) -> Any:
        """The same tree with the network's own tensors in float64."""
        if isinstance(tree, Tensor):
            return self._double(tree) if id(tree) in self._own else tree
        if type(tree) in (tuple, list):
            return type(tree)(map(self.tree, tree))
        if type(tree) is dict:
            return {name: self.tree(value) for name, value in tree.items()}
        return tree

    def _double(self, tensor: Tensor) -> Tensor:
        known = self._kept.get(id(tensor))
        if known is not None:
            return known
        double = tensor.detach().double()
        if tensor.numel() <= self._room:
            self._room -= tensor.numel()
            self._kept[id(tensor)] = double
        return double


def _grouped_product(func: Any, rows: Tensor, matrices: Tensor, **more: Any) -> Tensor:
    """A product with one matrix for each expert, whose kernel knows no float64.

    The kernel runs too: what it does not take is not to be found out after the proof.
    """
    func(rows.float(), matrices.float(), **more)
    ends = [0, *more["offs"].tolist()]
    parts = [
        rows[start:end] @ matrix
        for start, end, matrix in zip(ends, ends[1:], matrices, strict=False)
    ]
    return torch.cat([*parts, rows.new_zeros(len(rows) - ends[-1], matrices.shape[-1])])


class Doubling(TorchFunctionMode):
    """While open, a network computes in float64 (its inputs must be in float64 too)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._doubler = Doubler(model)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._doubler.run(func, operator_name(func), args, kwargs or {})


def double(example: Any) -> Any:
    """Inputs in float64."""
    if isinstance(example, Tensor):
        return example.double() if example.is_floating_point() else example
    if isinstance(example, Mapping):
        return {name: double(value) for name, value in example.items()}
    if isinstance(example, tuple | list):
        return tuple(double(value) for value in example)
    return example
