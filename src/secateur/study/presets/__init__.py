"""The study files that come with secateur."""

from __future__ import annotations

import os
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from secateur.errors import UnknownNameError
from secateur.spec import StudySpec, read_study

_SUFFIX = ".toml"


def names() -> list[str]:
    """The names of the embedded studies.

    Example:
        >>> names()
        ['demo', 'original']
    """
    found = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))


def read(source: str) -> StudySpec:
    """Read an embedded study by its name, or a study file by its path.

    Raises:
        UnknownNameError: It is neither, and looks like a name.
        SpecError: The file cannot be read or is wrong.
    """
    path = Path(source)
    if path.suffix == _SUFFIX or (os.path.exists(path) and source not in names()):
        return read_study(path)
    with as_file(_file(source)) as embedded:
        return read_study(embedded)


def text(name: str) -> str:
    """An embedded study file as it stands, to start one's own from.

    Raises:
        UnknownNameError: No embedded study has this name.
    """
    return _file(name).read_text(encoding="utf-8")


def _file(name: str) -> Traversable:
    if name not in names():
        raise UnknownNameError("study", name, names())
    return files(__name__) / f"{name}{_SUFFIX}"
