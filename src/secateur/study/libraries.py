"""Libraries: the modules of installed packages that every run of a study imports."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType

from secateur.study.job import Setup
from secateur.study.ownership import has_file, is_installed, is_own

_LOADED_ANYWAY = ("secateur", "torch", "numpy")


def libraries_of(setups: Iterable[Setup]) -> tuple[str, ...]:
    """What the user's files import, and what the tasks measure with.

    Args:
        setups: Of each run; what their settings name has been imported.

    Returns:
        Names of modules, sorted.

    Example:
        >>> from pathlib import Path
        >>> from secateur.spec import StudySpec
        >>> study = StudySpec.model_validate({"task": "regression", "methods": {"dense": {}}})
        >>> libraries_of([Setup(study, Path("run"))])
        ('torchmetrics',)
    """
    found: set[str] = set()
    for setup in {id(setup): setup for setup in setups}.values():
        study, loop = setup.study, setup.loop()
        names = (study.model.name, study.data.name, study.task.name, study.train, study.evaluate)
        found.update(_imported_by([name.partition(":")[0] for name in names if ":" in name]))
        found.update(() if loop.evaluate else loop.task.libraries)
    return tuple(sorted(found))


def _imported_by(files: Iterable[str]) -> Iterator[str]:
    """The installed modules that modules of the user's own hold something of, however deep."""
    waiting, seen = list(files), set[str]()
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        if name in seen or module is None or name.partition(".")[0] in _LOADED_ANYWAY:
            continue
        seen.add(name)
        if is_installed(module):
            yield name
        elif has_file(name) and is_own(module):
            waiting += _homes(module)


def _homes(module: ModuleType) -> Iterator[str]:
    """The modules that a module's globals are, or stand in."""
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType):
            yield value.__name__
        elif isinstance(value, type | FunctionType):
            yield value.__module__
