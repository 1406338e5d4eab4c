"""Caches of functions: what a network's code remembers from one pass to the next.

A function under `functools.lru_cache` runs in the first pass and not in the second, so the two
meet other operators; and what it gave in a dry run has no storage, in a comparison another type. So
such caches are emptied before and after each pass; they fill again by themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from types import FunctionType
from typing import Any

from torch import nn

from secateur.foundation.own_tensors import each_module

KIND: type[Any] = type(lru_cache(len))
BOUND = (staticmethod, classmethod)
HOLDERS = (FunctionType, KIND, *BOUND)


@contextmanager
def forgetting(model: nn.Module) -> Iterator[None]:
    """Empty the caches of a network's functions before and after what is done in between.

    Args:
        model: The network; the functions are those of its classes and of the files they stand in.
    """
    caches = _caches(model)
    _empty(caches)
    try:
        yield
    finally:
        _empty(caches)


def _empty(caches: list[Any]) -> None:
    for cache in caches:
        cache.cache_clear()


def _caches(model: nn.Module) -> list[Any]:
    modules = {type(module) for _, module in each_module(model)}
    kinds = {kind for known in modules for kind in known.__mro__}
    kinds = {kind for kind in kinds if not kind.__module__.startswith(("torch.", "builtins"))}
    files = {sys.modules.get(kind.__module__) for kind in kinds}
    homes = [vars(home) for home in (*kinds, *files) if home is not None]
    values = [one for home in homes for one in tuple(home.values()) if isinstance(one, HOLDERS)]
    return [one for value in values for one in _within(value) if isinstance(one, KIND)]


def _within(value: Any) -> Iterator[Any]:
    """A function, what it is bound to, and what a decorator keeps beside it."""
    value = getattr(value, "__func__", value) if isinstance(value, BOUND) else value
    yield value
    if isinstance(value, FunctionType):
        for cell in value.__closure__ or ():
            with suppress(ValueError):  # a cell that nothing has been put into yet
                yield cell.cell_contents
