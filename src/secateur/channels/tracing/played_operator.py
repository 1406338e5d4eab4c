"""A played operator: what comes out of it on the meta device, where only shapes are computed.

Some of torch's meta kernels are written in Python and take longer than the operator itself
(`grid_sample`: 20 ms). What comes out depends on nothing but shapes, strides, types and numbers, so
what was once found out is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from secateur.channels.labels.op_names import is_lasting
from secateur.channels.operators.registry import has_trait
from secateur.channels.sandbox import is_in_place
from secateur.foundation.own_error import text_of
from secateur.foundation.run_example import tensors_in

KEPT = 1 << 14
ATOMS = frozenset((int, float, bool, str, complex, type(None), type(...), torch.dtype))
KINDS = frozenset((Tensor, nn.Parameter))
OF_FIRST = frozenset(("batch_norm", "softmax"))

Made = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]
"""Shape, strides and type."""
Results = tuple[type[Tensor] | type[tuple[Any, ...]] | type[list[Any]], list[Made]]
_known: dict[tuple[object, ...], Results] = {}


def play(name: str, func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operator on meta tensors; element-wise ones need no more than a broadcast."""
    inside = tensors_in(args[:1])
    if not inside or kwargs.get("out") is not None:
        return func(*args, **kwargs)
    if not has_trait(name, "keeps_shape"):
        return _played(func, args, kwargs)
    shape: tuple[int, ...] = tuple(inside[0].shape)
    if name not in OF_FIRST:
        shapes = {tuple(tensor.shape) for tensor in tensors_in((args, kwargs))}
        shape = np.broadcast_shapes(*shapes) if len(shapes) > 1 else shape
    if func.__name__.endswith("_") or kwargs.get("inplace"):
        return args[0]
    return torch.empty(shape, dtype=inside[0].dtype, device="meta")


def _played(func: Any, args: Any, kwargs: Any) -> Any:
    if not is_lasting(func) or is_in_place(func, kwargs) or kwargs.get("inplace"):
        return func(*args, **kwargs)
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return func(*args, **kwargs)
    found: list[object] = [func]
    if not (_describe(args, found) and _describe(kwargs, found)):
        return func(*args, **kwargs)
    key = tuple(found)
    if key in _known:
        kind, parts = _known[key]
        tensors = [
            torch.empty_strided(shape, strides, dtype=dtype, device="meta")
            for shape, strides, dtype in parts
        ]
        return tensors[0] if kind is Tensor else kind(tensors)
    result = func(*args, **kwargs)
    made = _described(result, args, kwargs)
    if made is not None:
        if len(_known) >= KEPT:
            _known.clear()
        _known[key] = made
    return result


def _describe(tree: Any, found: list[object]) -> bool:
    """Append all that an operator can see of its arguments; whether that is all there is."""
    kind = type(tree)
    found.append(kind)
    if kind in KINDS:
        if not tree.is_meta or tree.layout is not torch.strided or tree.requires_grad:
            return False
        found += (tree.shape, tree.stride(), tree.dtype)
        return True
    if kind in ATOMS:
        found.append(tree)
        return True
    if kind is slice:
        return _describe((tree.start, tree.stop, tree.step), found)
    if kind is dict:
        found.append(len(tree))
        return all(_describe(pair, found) for pair in tree.items())
    if kind in (tuple, list, torch.Size):
        found.append(len(tree))
        return all(_describe(one, found) for one in tree)
    return False


def _described(result: Any, args: Any, kwargs: Any) -> Results | None:
    """What came out, if it is new tensors without storage and nothing else."""
    kind = type(result)
    if kind is not Tensor and not (kind in (tuple, list) and result):
        return None
    given = {id(one) for one in tensors_in((args, kwargs))}
    parts = [result] if kind is Tensor else result
    if not all(_is_new(one, given) for one in parts):
        return None
    return kind, [(tuple(one.shape), one.stride(), one.dtype) for one in parts]


def _is_new(result: Any, given: set[int]) -> bool:
    return (
        type(result) is Tensor
        and id(result) not in given
        and result.is_meta
        and result.layout is torch.strided
        and not result.requires_grad
    )


def is_unsupported(failure: Exception) -> bool:
    """Whether an operator failed because meta tensors have no values."""
    text = text_of(failure).lower()
    return isinstance(failure, NotImplementedError) or "meta tensor" in text or "fake" in text


def to_meta(tree: Any) -> Any:
    """The same tree with every tensor and every device the meta device."""
    # By hand: it runs for every operator, on trees that are almost always flat.
    if isinstance(tree, Tensor):
        return tree if tree.is_meta else tree.to("meta")
    kind = type(tree)
    if kind in ATOMS:
        return tree
    if kind is torch.device:
        return torch.device("meta")
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind(*map(to_meta, tree))
    if isinstance(tree, torch.Size):
        return tree
    if isinstance(tree, tuple | list):
        return kind(map(to_meta, tree))
    if isinstance(tree, dict):
        return {name: to_meta(value) for name, value in tree.items()}
    return tree
