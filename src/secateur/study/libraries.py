"""Libraries: the modules of installed packages that every run of a study imports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType

from secateur.spec import StudySpec
from secateur.study.ownership import has_file, is_installed, is_own
from secateur.training.loop import Loop

_LOADED_ANYWAY = ("secateur", "torch", "numpy")


def libraries_of(study: StudySpec, loop: Loop) -> tuple[str, ...]:
    """What the user's files import, and what the task measures with.

    Args:
        study: The settings; what they name has been imported.
        loop: Of the study.

    Returns:
        Names of modules, sorted.

    Example:
        >>> study = StudySpec.model_validate({"task": "regression", "methods": {"dense": {}}})
        >>> from secateur.study.loop import loop_of
        >>> libraries_of(study, loop_of(study))
        ('torchmetrics',)
    """
    names = (study.model.name, study.data.name, study.task.name, study.train, study.evaluate)
    files = {name.partition(":")[0] for name in names if ":" in name}
    measuring = () if loop.evaluate else loop.task.libraries
    return tuple(sorted({*_imported_by(files), *measuring}))


def _imported_by(files: set[str]) -> Iterator[str]:
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
