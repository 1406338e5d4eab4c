"""Names of operators, and the tensors in their arguments."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket

ATOMS = frozenset((int, float, bool, str, complex, type(None), torch.dtype))
LASTING = frozenset((type(torch.relu), type(Tensor.add), type(Tensor.shape.__get__)))  # type: ignore[attr-defined]
WORDS = (Tensor, str, torch.dtype, torch.device, torch.layout, torch.memory_format)
QUESTIONS = frozenset({"__bool__", "item", "tolist", "__int__", "__float__", "__index__"})
FINITENESS = frozenset({"isfinite", "isinf", "isnan", "isneginf", "isposinf"})
CARRIES = frozenset({"any", "all", "logical_not", "logical_or", "logical_and", "or", "and"})


def operator_name(func: Any) -> str:
    """One name for an operator's forms: method, function, in place, reflected.

    Example:
        >>> import torch
        >>> operator_name(torch.Tensor.add_), operator_name(torch.Tensor.__rsub__)
        ('add', 'sub')
    """
    try:
        return _names[func]
    except (KeyError, TypeError):
        name = _name(func)
    if is_lasting(func):
        _names[func] = name
    return name


def is_lasting(func: Any) -> bool:
    """Whether a function is torch's own and there for good, so that it may be remembered.

    Example:
        >>> is_lasting(torch.relu), is_lasting(lambda: None)
        (True, False)
    """
    return type(func) in LASTING or str(getattr(func, "__module__", "")).startswith("torch.")


def _name(func: Any) -> str:
    name = str(getattr(func, "__name__", func))
    foreign = _foreign_name(func)
    if foreign:
        return foreign
    if name == "__get__":
        attribute = str(getattr(getattr(func, "__self__", None), "__name__", ""))
        return attribute if attribute in {"T", "mT", "H", "mH", "data", "real"} else name
    if name in QUESTIONS or name in {"__getitem__", "__setitem__", "__set__", "__len__"}:
        return name
    if name == "fn":
        name = str(getattr(func, "__qualname__", name))
    stem = name.strip("_")
    if name.startswith("__"):
        stem = {"radd": "add", "rsub": "sub", "rmul": "mul", "rdiv": "div", "rpow": "pow"}.get(
            stem, stem.removeprefix("i") if stem in {"iadd", "isub", "imul"} else stem
        )
    return stem


_names: dict[Any, str] = {}


def _foreign_name(func: Any) -> str:
    """The full name of an operator that is not torch's own, so that no rule is taken for it.

    Operators called through `torch.ops` come under the names of their overloads.
    """
    if isinstance(func, OpOverload | OpOverloadPacket):
        packet = func if isinstance(func, OpOverloadPacket) else func.overloadpacket
        space, _, name = packet._qualified_op_name.partition("::")
        return name.strip("_") if space in ("aten", "prims") else f"{space}::{name}"
    module = getattr(func, "__module__", None)
    if not isinstance(module, str) or module.partition(".")[0] == "torch":
        return ""
    return f"{module}.{getattr(func, '__name__', func)}"


def is_query(name: str) -> bool:
    """Whether an operator that gave no tensor only asked for a shape or a type."""
    return name.startswith(("is_", "__get__", "size", "dim", "__len__", "stride", "numel"))


def asks_length(name: str, func: Any) -> bool:
    """Whether a query's answer depends on the length of an axis."""
    attribute = getattr(getattr(func, "__self__", None), "__name__", "")
    return attribute == "shape" or name.startswith(("size", "__len__", "stride", "numel"))


CHANCE = ("dropout", "norm", "attention", "rrelu", "lstm", "gru", "rnn")


def numbers_in(name: str, tree: Any) -> tuple[object, ...]:
    """The numbers, words and types in the arguments of an operator, in order.

    What says whether it trains, and how much chance there is in it, is left out.

    Example:
        >>> numbers_in("conv2d", ((torch.ones(1), (2, 2)), {"padding": "same"}))
        (2, 2, 'same')
    """
    found: list[object] = []
    _gather(tree, found)
    if any(word in name for word in CHANCE):
        return tuple(one for one in found if type(one) is not bool and type(one) is not float)
    return tuple(found)


def has_numbers(tree: Any) -> bool:
    """Whether there is a number of any kind among arguments, in slices, lists and arrays too.

    Example:
        >>> has_numbers((torch.ones(1), slice(None, 3))), has_numbers((torch.ones(1), None))
        (True, False)
    """
    if tree is None or isinstance(tree, WORDS):
        return False
    if isinstance(tree, tuple | list):
        return any(map(has_numbers, tree))
    if isinstance(tree, dict):
        return any(map(has_numbers, tree.values()))
    if isinstance(tree, slice):
        return has_numbers((tree.start, tree.stop, tree.step))
    return True


@lru_cache(maxsize=1024)
def is_random(name: str) -> bool:
    """Whether an operator of torch's draws random numbers.

    Example:
        >>> is_random("bernoulli"), is_random("binomial"), is_random("relu")
        (True, True, False)
    """
    packet = getattr(torch.ops.aten, name, None)
    overloads = [getattr(packet, one) for one in packet.overloads()] if packet else []
    return any(torch.Tag.nondeterministic_seeded in one.tags for one in overloads)


def _gather(tree: Any, found: list[object]) -> None:
    # By hand: pytree has no numbers inside a slice.
    kind = type(tree)
    if kind in ATOMS:
        found.append(tree)
    elif kind is slice:
        found += [tree.start, tree.stop, tree.step]
    elif isinstance(tree, tuple | list):
        for value in tree:
            _gather(value, found)
    elif isinstance(tree, dict):
        for value in tree.values():
            _gather(value, found)
