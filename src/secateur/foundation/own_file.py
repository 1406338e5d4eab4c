"""Own files: whether code stands in a file of the user's own."""

from __future__ import annotations

import sysconfig
from pathlib import Path

_OURS = Path(__file__).parents[1]
_PYTHON = tuple(map(sysconfig.get_path, ("stdlib", "platstdlib")))
_INSTALLED = frozenset(("site-packages", "dist-packages"))
# What is typed in; other names in brackets are of code that libraries make.
_TYPED = ("<stdin", "<ipython", "<doctest")


def is_own_file(file: str) -> bool:
    """Whether a file of code is neither Python's nor an installed package's nor ours.

    Args:
        file: Its path, as a code object or a loader has it.

    Example:
        >>> is_own_file("/home/me/mynets.py"), is_own_file(sysconfig.__file__), is_own_file("<x>")
        (True, False, False)
    """
    if file.startswith("<"):
        return file.startswith(_TYPED)
    path = Path(file)
    if _INSTALLED.intersection(path.parts) or path.is_relative_to(_OURS):
        return False
    return not any(map(path.is_relative_to, _PYTHON))
