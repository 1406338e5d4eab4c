"""Fabric: Lightning's, imported without a library of which it asks for the version alone.

`lightning_fabric` imports torchmetrics to compare its version, and torchmetrics whatever it finds
of scipy, matplotlib and transformers: more than half of the seconds that the import takes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

__all__ = ["Fabric"]


class _Unloaded(ModuleType):
    """A library of which the version is known; whatever else is asked of it loads it."""

    __version__: str

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)  # `inspect` looks at `__file__` of all modules
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def _unloaded(library: str) -> Iterator[None]:
    """Let whoever imports a library meanwhile have its version, unless it is loaded already."""
    found = _Unloaded(library)
    try:
        found.__version__ = version(library)
    except PackageNotFoundError:  # Lightning does without it
        yield
        return
    if sys.modules.setdefault(library, found) is not found:
        yield
        return
    try:
        yield
    finally:
        if sys.modules.get(library) is found:
            del sys.modules[library]


with _unloaded("torchmetrics"):
    from lightning_fabric import Fabric
