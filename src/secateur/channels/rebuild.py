"""Rebuild: a copy of a network with smaller tensors, and attributes that say so."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateur.channels.closures import Closures
from secateur.errors import ChannelError
from secateur.foundation.own_error import words_of
from secateur.foundation.own_tensors import each_module, own_tensors

Kept = Mapping[str, Mapping[int, Tensor]]

BUILT_IN = (BuiltinFunctionType, torch.jit.ScriptFunction)
ATOMS = frozenset((int, float, bool, str, type(None), torch.dtype, torch.Size, type, *BUILT_IN))
OWN = frozenset(vars(nn.Module()))
DICTS = (dict, OrderedDict)
FLAT = (tuple, list, set, frozenset)
_WRAPPERS = {
    "OptimizedModule": ("torch._dynamo", "_orig_mod"),
    "DataParallel": ("torch.nn.parallel", "module"),
    "DistributedDataParallel": ("torch.nn.parallel", "module"),
    "_FabricModule": ("lightning", "module"),
}
_CLOSURES = -1  # no object's id: where a memo keeps the functions of a copy
USUAL = (object.__getstate__, getattr(nn.Module, "__getstate__", None))


def take(tensor: Tensor, kept: Mapping[int, Tensor]) -> Tensor:
    """The kept indices of a tensor along each axis.

    Example:
        >>> import torch
        >>> take(torch.arange(6).view(2, 3), {1: torch.tensor([0, 2])})
        tensor([[0, 2],
                [3, 5]])
    """
    for axis, index in kept.items():
        tensor = tensor.index_select(axis, index.to(tensor.device))
    return tensor


def rebuild(model: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A deep copy of a network in which some parameters and buffers are others.

    Shared parameters stay shared, and the tensors replaced are never copied in full. Activations
    that a module has kept (in a list, a dict, an attribute) are copied without their history.

    Args:
        model: The network; it is not touched.
        tensors: New values by state-dict name (shared tensors by their first name).

    Raises:
        ChannelError: The network holds something that Python cannot copy.
    """
    changed = [(name, one, tensors[name]) for name, one in own_tensors(model) if name in tensors]
    return _rebuilt(model, changed)


def _rebuilt(model: nn.Module, changed: list[tuple[str, Tensor, Tensor]]) -> nn.Module:
    """A copy in which some tensors, given by name, are others."""
    memo: dict[int, Any] = {}
    for _, own, other in changed:
        value = other.detach()
        if isinstance(own, nn.Parameter):
            value = nn.Parameter(value, requires_grad=own.requires_grad)
        memo[id(own)] = value
    try:
        with _WithoutHistory():
            new = _whole(model, memo)
    except Exception as failure:
        raise ChannelError(
            "copying the network",
            _uncopied(model) or type(model).__name__,
            given=f"something that Python cannot copy ({words_of(failure)})",
            expected="modules whose attributes `copy.deepcopy` can copy",
            remedy="Take it out of the module before pruning, and put it back afterwards.",
        ) from failure
    _fill_scripted(new, {name: other for name, _, other in changed})
    return new


def _fill_scripted(new: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """A scripted module copies its tensors itself, whatever it is told."""
    for prefix, module in each_module(new):
        if isinstance(module, torch.jit.ScriptModule):
            for name, own in [*module._parameters.items(), *module._buffers.items()]:
                other = tensors.get(prefix + name)
                if own is not None and other is not None:
                    setattr(module, name, other.detach().requires_grad_(own.requires_grad))


def uncompiled(model: nn.Module) -> nn.Module:
    """The network without what `torch.compile` or data parallelism put around it or its parts.

    It has the same tensors.

    Example:
        >>> net = nn.Linear(1, 1)
        >>> uncompiled(net) is net
        True
    """
    while (inner := _inner(model)) is not None:
        model = inner
    if all(_inner(module) is None for module in model.modules()):
        return model
    memo: dict[int, Any] = {id(one): one for one in (*model.parameters(), *model.buffers())}
    return _whole(model, memo)


def named_plainly(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Tensors by the names that they have in the network without `torch.compile`.

    Example:
        >>> list(named_plainly({"_orig_mod.0.weight": torch.ones(1)}))
        ['0.weight']
    """
    if not any("_orig_mod." in name for name in tensors):
        return tensors
    return {name.replace("_orig_mod.", ""): tensor for name, tensor in tensors.items()}


def _inner(module: nn.Module) -> nn.Module | None:
    """The network inside a wrapper of torch's that gives the same function."""
    kind = type(module)
    where, attribute = _WRAPPERS.get(kind.__name__, ("", ""))
    if not where or not kind.__module__.startswith(where):
        return None
    inner: nn.Module = getattr(module, attribute)
    return inner


def throwaway(model: nn.Module) -> nn.Module:
    """A copy to run: it shares the parameters, and has buffers and attributes of its own.

    Example:
        >>> net = nn.Linear(1, 1)
        >>> throwaway(net).weight.data_ptr() == net.weight.data_ptr()
        True
    """
    return _rebuilt(
        model,
        [
            (name, one, one if isinstance(one, nn.Parameter) else one.detach().clone())
            for name, one in own_tensors(model)
        ],
    )


class _WithoutHistory(TorchFunctionMode):
    """While open, `copy.deepcopy` copies an activation without the graph that made it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == "__deepcopy__" and not args[0].is_leaf:
            tensor, memo = args
            return memo.setdefault(id(tensor), tensor.detach().clone())
        return func(*args, **(kwargs or {}))


def _uncopied(model: nn.Module) -> str:
    """The first attribute that cannot be copied, as `path.attribute`."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name in OWN or isinstance(value, nn.Module):
                continue
            try:
                with _WithoutHistory():
                    copy.deepcopy(value, {id(one): one for one in model.modules()})
            except Exception:
                return f"{path}.{name}" if path else name
    return ""


def _whole(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A copy whose functions close over the copy."""
    closures = memo[_CLOSURES] = Closures()
    new = _copied(model, memo)
    del memo[_CLOSURES]
    closures.fill(memo)
    return new


def _copied(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """As `copy.deepcopy`, which spends most of its time on the empty dicts of hooks."""
    known = memo.get(id(module))
    if known is not None:
        return known  # type: ignore[no-any-return]
    kind = type(module)
    inner = _inner(module)
    if inner is not None:
        memo[id(module)] = _copied(inner, memo)
    if id(module) in memo or not _is_usual(kind):  # type: ignore[arg-type]
        return copy.deepcopy(module, memo)
    new: Any = kind.__new__(kind)
    memo[id(module)] = new
    state = new.__dict__
    state.update(module.__dict__)
    for name, value in module.__dict__.items():
        form = type(value)
        if form in ATOMS:
            continue
        if form in DICTS and name in OWN:
            state[name] = (
                form([(key, _held(one, memo)) for key, one in value.items()]) if value else form()
            )
        elif name != "_compiled_call_impl":
            state[name] = _held(value, memo)
        else:
            del state[name]
    copied: nn.Module = new
    return copied


@lru_cache(maxsize=4096)
def _is_usual(kind: type[nn.Module]) -> bool:
    """Whether the modules of a class are copied attribute by attribute."""
    return (
        kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind.__getstate__ in USUAL
        and kind.__setstate__.__module__.startswith("torch.")
        and not hasattr(kind, "__deepcopy__")
    )


def _held(value: Any, memo: dict[int, Any]) -> Any:
    form = type(value)
    if form in ATOMS:
        return value
    known = memo.get(id(value))
    if known is not None:
        return known
    if isinstance(value, nn.Module):
        return _copied(value, memo)
    if form is FunctionType:
        return memo[_CLOSURES].copied(value) if _CLOSURES in memo else value
    if form in FLAT and ATOMS.issuperset(map(type, value)):
        copied = value if form is tuple else form(value)
        memo[id(value)] = copied
        return copied
    return copy.deepcopy(value, memo)
