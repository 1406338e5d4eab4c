"""Float64: a network computes in double precision while its weights stay in their own type.

A float64 copy of a large network would take twice its memory. So a weight is converted where an
operator uses it, and small ones keep what was converted for the next use. Whatever the network
makes itself in a smaller type (`torch.zeros`, `.float()`, `dtype=`) becomes float64 on the way, so
that its code never sees two types meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from secateur.channels.labels.op_names import is_query, operator_name
from secateur.channels.sandbox import WriteBack, is_in_place
from secateur.channels.scratch import is_lent, lent
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.run_example import each_tensor, tensors_in

KEPT_ELEMENTS = 1 << 22  # 32 MiB of float64
LARGE = 1 << 22

Wider = Mapping[torch.dtype, torch.dtype]
WIDER: Wider = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex32: torch.complex128,
    torch.complex64: torch.complex128,
}
FLOAT32: Wider = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.complex32: torch.complex64,
}
UNCHANGED: Wider = {}
READERS = frozenset(
    ("linear", *(f"conv{n}d" for n in (1, 2, 3)), *(f"conv_transpose{n}d" for n in (1, 2, 3)))
)
CASTS = {
    "float": torch.float32,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
    "cfloat": torch.complex64,
    "chalf": torch.complex32,
}


class Widener:
    """Calls operators in float64.

    Args:
        model: The network; it is not touched.
        wider: The type that each type becomes.
        jitter: How far each of its numbers is moved, as a share of itself, to see what rounding
            does to the outputs.
        keep: Is told of every operator that writes.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        wider: Wider = WIDER,
        jitter: float = 0.0,
        keep: WriteBack | None = None,
    ) -> None:
        self._keep = keep
        own = [one for _, one in own_tensors(model)]
        self._own = {id(one): one for one in own if one.is_floating_point() or one.is_complex()}
        if not jitter:
            self._own = {key: one for key, one in self._own.items() if one.dtype in wider}
        self._wider = wider
        self._written: dict[int, Tensor] = {}
        self._kept: dict[int, Tensor] = {}
        self._room = KEPT_ELEMENTS
        self._jitter = jitter

    def run(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Call an operator on doubled arguments."""
        if is_query(name):
            result = func(*args, **kwargs)
            return self._wider.get(result, result) if type(result) is torch.dtype else result
        if name in CASTS and func is getattr(Tensor, name):
            return self.tree(args[0]).to(self._wider.get(CASTS[name], CASTS[name]))
        if name == "view" and any(type(one) is torch.dtype for one in (*args, *kwargs.values())):
            return func(*args, **kwargs)
        if is_in_place(func, kwargs):
            return self._in_place(func, args, kwargs)
        if name == "embedding":
            return self._lookup(func, args, kwargs)
        if name == "linear" and self._is_large(args):
            return self._by_rows(*args, **kwargs)
        if name == "grouped_mm" and self._wider is WIDER:
            return _grouped_product(func, *self.tree(args), **self.tree(kwargs))
        if name in READERS and len(args) > 1 and not kwargs:
            return self._widen(
                func(self.tree(args[0]), self._borrowed(args[1]), *self.tree(args[2:]))
            )
        return self._widen(func(*self.tree(args), **self.tree(kwargs)))

    def _borrowed(self, weight: Any) -> Any:
        """The weight of an operator that gives nothing of its memory away."""
        lends = id(weight) in self._own and not self._jitter and id(weight) not in self._written
        if lends and is_lent(weight, self._wider.get(weight.dtype)):
            return lent(weight.detach())
        return self.tree(weight)

    def tree(self, tree: Any) -> Any:
        """The same tree with every tensor and every type in float64."""
        if isinstance(tree, Tensor):
            return self._double(tree) if id(tree) in self._own else widen(tree, self._wider)
        if type(tree) is torch.dtype:
            return self._wider.get(tree, tree)
        if type(tree) in (tuple, list):
            return type(tree)([self.tree(one) for one in tree])
        if type(tree) is dict:
            return {name: self.tree(value) for name, value in tree.items()}
        return tree

    def _in_place(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What is written into keeps its type, unless it is the network's own."""
        if self._keep is not None:
            self._keep.before(args, kwargs)
        target = args[0]
        if isinstance(target, Tensor) and id(target) in self._own:
            self._written.setdefault(id(target), self._moved(target))
            return func(*self.tree(args), **self.tree(kwargs))
        rest, named = self.tree(args[1:]), self.tree(kwargs)
        if isinstance(target, Tensor) and target.dtype in self._wider:
            rest, named = narrow(rest, target.dtype), narrow(named, target.dtype)
        if "out" in kwargs:
            named["out"] = kwargs["out"]
        return func(target, *rest, **named)

    def _lookup(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Rows are taken first and doubled then: a table may be large."""
        if self._jitter or any(id(one) in self._written for one in tensors_in((args, kwargs))):
            return func(*self.tree(args), **self.tree(kwargs))
        return self._widen(func(*args, **kwargs))

    def _is_large(self, args: Any) -> bool:
        return (
            len(args) > 1
            and id(args[1]) in self._own
            and args[1].dim() == 2
            and args[1].numel() > LARGE
        )

    def _by_rows(self, source: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """A wide layer, some of its outputs at a time, so that its double is never there whole."""
        rows = max(1, LARGE // weight.shape[1])
        source = self.tree(source)
        out = torch.cat(
            [functional.linear(source, self._part(part)) for part in torch.split(weight, rows)],
            dim=-1,
        )
        return out if bias is None else out + self.tree(bias)

    def _part(self, part: Tensor) -> Tensor:
        lends = not self._jitter and is_lent(part, self._wider.get(part.dtype))
        return lent(part.detach()) if lends else self._moved(part)

    def _double(self, tensor: Tensor) -> Tensor:
        written = self._written.get(id(tensor))
        if written is not None:
            return written
        known = self._kept.get(id(tensor))
        if known is not None:
            return known
        double = self._moved(tensor)
        if tensor.numel() <= self._room:
            self._room -= tensor.numel()
            self._kept[id(tensor)] = double
        return double

    def _widen(self, result: Any) -> Any:
        """What an operator gave: some of it may have been made in a smaller type."""
        return each_tensor(result, lambda one: widen(one, self._wider))

    def _moved(self, tensor: Tensor) -> Tensor:
        double = widen(tensor.detach(), self._wider)
        return jittered(double, self._jitter) if self._jitter else double


def _grouped_product(func: Any, rows: Tensor, matrices: Tensor, **more: Any) -> Tensor:
    """A product with one matrix for each expert, whose kernel knows no float64.

    The kernel runs too: what it does not take is not to be found out after the comparison.
    """
    func(rows.float(), matrices.float(), **more)
    ends = [0, *more["offs"].tolist()]
    parts = [
        rows[start:end] @ matrix
        for start, end, matrix in zip(ends, ends[1:], matrices, strict=False)
    ]
    return torch.cat([*parts, rows.new_zeros(len(rows) - ends[-1], matrices.shape[-1])])


class InFloat64(TorchFunctionMode):
    """While open, a network computes in float64 (its inputs must be in float64 too)."""

    def __init__(
        self,
        model: nn.Module,
        *,
        wider: Wider = WIDER,
        jitter: float = 0.0,
        keep: WriteBack | None = None,
    ) -> None:
        super().__init__()
        self._widener = Widener(model, wider=wider, jitter=jitter, keep=keep)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._widener.run(func, operator_name(func), args, kwargs or {})


def jittered(tensor: Tensor, share: float) -> Tensor:
    """A tensor whose numbers are moved by up to such a share of themselves.

    Example:
        >>> moved = jittered(torch.ones(3, dtype=torch.float64), 1e-6)
        >>> bool(((moved - 1).abs() < 2e-6).all()), bool((moved == 1).all())
        (True, False)
    """
    steps = torch.arange(tensor.numel(), device=tensor.device, dtype=torch.float32)
    signs = (steps.mul_(12.9898).sin_().mul_(43758.5453).frac_()).to(tensor.real.dtype)
    return tensor + tensor * (signs * share).view(tensor.shape)


def widen(tensor: Tensor, wider: Wider = WIDER) -> Tensor:
    """A floating or complex tensor in the wider type."""
    kind = wider.get(tensor.dtype)
    return tensor if kind is None else tensor.to(kind)


def narrow(tree: Any, kind: torch.dtype) -> Any:
    """A tree whose floating tensors have one type."""
    return each_tensor(tree, lambda one: one.to(kind) if one.is_floating_point() else one)


def double(example: Any, wider: Wider = WIDER) -> Any:
    """Inputs in float64, whatever they are nested in."""
    return each_tensor(example, lambda one: widen(one, wider))
