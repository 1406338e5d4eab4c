"""Module text: what the files of a network's modules hold, as digests that name its runs.

Of the user's own modules every import counts, however deep, wherever it stands in the text.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from secateur.study.imported_text import IMPORTED
from secateur.study.ownership import is_own

Parts = dict[str, str]
"""What there is, by its name for messages, as digests."""

FILE = "the file of "
"""How the parts begin that are named here."""


def files(roots: set[str]) -> Parts:
    """The text of modules, and of whatever modules of the user's own they import, by name."""
    waiting, parts = [name for name in roots if name and name != "__main__"], {}
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        if FILE + name in parts or name.partition(".")[0] in ("secateur", "torch", "builtins"):
            continue
        digest = _file_digest(module)
        if digest is None:
            continue
        parts[FILE + name] = digest
        if module is not None and is_own(module):
            waiting += _imports(module)
    return parts


def own_files(roots: set[str]) -> dict[str, str]:
    """Name -> SHA-256, in hex, of those of `files` that are the user's own."""
    found = {name.removeprefix(FILE): digest for name, digest in files(roots).items()}
    return {name: digest for name, digest in found.items() if is_own(sys.modules[name])}


def text_digest(name: str) -> str | None:
    """SHA-256, in hex, of a module's text: as it was imported, where that was noted, or as it is.

    Args:
        name: Of a module; None is given for one that is not imported, or has no file.
    """
    if name in IMPORTED and name in sys.modules:
        return IMPORTED[name]
    return _file_digest(sys.modules.get(name))


def _text(module: ModuleType | None) -> bytes | None:
    """What a module's file holds, in an archive too; None for one that has none."""
    file = getattr(module, "__file__", None)
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    try:
        return Path(file).read_bytes() if file else None
    except OSError:
        read = getattr(loader, "get_data", None)
    try:
        return bytes(read(file)) if read else None
    except (OSError, ImportError):
        return None


def _file_digest(module: ModuleType | None) -> str | None:
    text = _text(module)
    return None if text is None else hashlib.sha256(text).hexdigest()


def _imports(module: ModuleType) -> Iterator[str]:
    """The modules of the user's own that a module imports, wherever in its text."""
    try:
        tree = ast.parse(_text(module) or b"")
    except (SyntaxError, ValueError):  # no source: compiled
        return
    package = module.__package__ or ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join((*(up if node.level else ()), *filter(None, [node.module])))
            named = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in named:
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                found = sys.modules.get(".".join(parts[:end]))
                if found is not None and is_own(found):
                    yield found.__name__
