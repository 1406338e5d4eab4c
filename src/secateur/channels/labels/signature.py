"""Signatures: the arguments of a torch function in their places, however they were passed.

`torch.flatten(input=x, start_dim=2)` and `x.flatten(2)` are one call. Rules read arguments by
place, so what was passed by name is put there first: by the signature of a function written in
Python, by the operator's schema for one that is not.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch

from secateur.channels.labels.op_names import operator_name

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

# numpy's words, which torch understands too.
ALIASES = {"axis": "dim", "axes": "dims", "keepdims": "keepdim", "x": "input", "x2": "other"}


def in_places(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
    """Arguments by place as far as the signature has places; what is left stays by name.

    Args:
        func: A torch function or method.
        args: What was passed by place.
        kwargs: What was passed by name.

    Returns:
        Arguments and keyword arguments of a call that does the same.

    Example:
        >>> in_places(torch.flatten, (), {"start_dim": 1, "input": "x"})
        (('x', 1), {})
    """
    if not kwargs:
        return tuple(args), {}
    names = {ALIASES.get(name, name): name for name in kwargs}
    for places in _signatures(func):
        placed = _placed(places, args, {known: kwargs[name] for known, name in names.items()})
        if placed is not None:
            return placed
    return tuple(args), dict(kwargs)


Place = tuple[str, Any, bool]
MISSING = object()


def _placed(
    places: Sequence[Place], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Arguments | None:
    """The arguments under one signature, if it has a name for each."""
    known = {name for name, _, _ in places}
    if len(args) > len(places) or not set(kwargs) <= known:
        return None
    full, left = list(args), dict(kwargs)
    for name, default, by_name in places[len(args) :]:
        if not left or by_name:
            break
        value = left.pop(name, default)
        if value is MISSING:
            return None
        full.append(value)
    return tuple(full), left


@lru_cache(maxsize=1024)
def _signatures(func: Any) -> tuple[tuple[Place, ...], ...]:
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):
        return tuple(_schemas(operator_name(func)))
    if any(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
        return tuple(_schemas(operator_name(func)))
    return (
        tuple(
            (
                one.name,
                MISSING if one.default is one.empty else one.default,
                one.kind is one.KEYWORD_ONLY,
            )
            for one in parameters
        ),
    )


def _schemas(name: str) -> list[tuple[Place, ...]]:
    """What torch knows of the overloads of an operator, `self` under its name in Python."""
    found = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    return [
        tuple(
            (
                "input" if one.name == "self" else one.name,
                one.default_value if one.has_default_value() else MISSING,
                bool(one.kwarg_only),
            )
            for one in schema.arguments
        )
        for schema in found
    ]
