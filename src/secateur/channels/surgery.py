"""Surgery: a copy of a network with smaller tensors, and attributes that say so."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

Kept = Mapping[str, Mapping[int, Tensor]]

ATOMS = frozenset((int, float, bool, str, type(None), torch.dtype, torch.Size, FunctionType, type))
OWN = frozenset(vars(nn.Module()))
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

    Shared parameters stay shared, and the tensors replaced are never copied in full.

    Args:
        model: The network; it is not touched.
        tensors: New values by state-dict name (shared tensors by their first name).
    """
    memo: dict[int, Any] = {}
    for name, parameter in model.named_parameters():
        if name in tensors:
            memo[id(parameter)] = nn.Parameter(
                tensors[name].detach(), requires_grad=parameter.requires_grad
            )
    for name, buffer in model.named_buffers():
        if name in tensors:
            memo[id(buffer)] = tensors[name].detach()
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach()
    return _copied(model, memo)


def _copied(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """As `copy.deepcopy`, which spends most of its time on the empty dicts of hooks."""
    kind = type(module)
    usual = (
        kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind.__getstate__ in USUAL
        and not hasattr(kind, "__deepcopy__")
    )
    if id(module) in memo or not usual:
        return copy.deepcopy(module, memo)
    new: Any = kind.__new__(kind)
    memo[id(module)] = new
    hidden: Any = module
    state: dict[str, Any] = {}
    for name, value in hidden.__getstate__().items():
        if type(value) in ATOMS:
            state[name] = value
        elif name in OWN and type(value) in (dict, OrderedDict):
            state[name] = type(value)((key, _held(one, memo)) for key, one in value.items())
        else:
            state[name] = _held(value, memo)
    new.__setstate__(state)
    copied: nn.Module = new
    return copied


def _held(value: Any, memo: dict[int, Any]) -> Any:
    if isinstance(value, nn.Module):
        return _copied(value, memo)
    return value if type(value) in ATOMS else copy.deepcopy(value, memo)
