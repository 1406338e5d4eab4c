"""Whose a module or a function is: the user's own, Python's, an installed package's, or ours."""

from __future__ import annotations

import sys
import sysconfig
import types
from pathlib import Path
from typing import TypeGuard


def is_own(module: types.ModuleType) -> bool:
    """Whether a module is the user's own and not of Python, of an installed package, or of ours."""
    if module.__name__.partition(".")[0] in ("secateur", "torch"):
        return False
    file = getattr(module, "__file__", None)
    if file is None:
        return module.__name__ not in sys.builtin_module_names and module.__spec__ is None
    return not is_installed(module) and not Path(file).is_relative_to(sysconfig.get_path("stdlib"))


def is_installed(module: types.ModuleType) -> bool:
    """Whether a module stands in an installed package."""
    parts = Path(getattr(module, "__file__", None) or "").parts
    return "site-packages" in parts or "dist-packages" in parts


def has_file(name: str) -> bool:
    """Whether a module is imported by name from a file of its own, as the workers will do."""
    return name != "__main__" and getattr(sys.modules.get(name), "__file__", None) is not None


def is_mine(value: object) -> TypeGuard[types.FunctionType]:
    """Whether a value is a function of the user's own, wherever it was put."""
    if not isinstance(value, types.FunctionType):
        return False
    module = sys.modules.get(value.__module__)
    return value.__module__ == "__main__" or (module is not None and is_own(module))
