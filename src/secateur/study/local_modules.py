"""Local modules: the user's own, that a machine elsewhere has not installed, as files to bring."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from secateur.errors import UsageError
from secateur.study.ownership import has_file, is_own

MOST_BYTES = 64 << 20


def local_modules() -> dict[str, bytes]:
    """The files of every module of the user's own that this process has imported.

    Those are modules that stand neither in an installed package nor in Python nor in secateur. Of
    a package all its modules come along, imported or not. Other files that lie beside them do not.

    Returns:
        Path below a folder of `sys.path` (`mynets/layers.py`) -> contents.

    Raises:
        UsageError: They are larger than 64 MiB together.

    Example:
        >>> all(not path.startswith("secateur/") for path in local_modules())
        True
    """
    found: dict[str, bytes] = {}
    for name, module in sorted(sys.modules.items()):
        if name == getattr(module, "__name__", "") and _is_local(module):
            for path, file in _files(module):
                if path not in found and file.is_file():
                    found[path] = file.read_bytes()
    size = sum(map(len, found.values()))
    if size > MOST_BYTES:
        largest = max(found, key=lambda path: len(found[path]))
        raise UsageError(
            "gathering the modules that runs elsewhere need",
            f"your own modules, {largest} the largest of them",
            given=f"{size:,} bytes",
            expected=f"{MOST_BYTES:,} at most",
            remedy="Install them on every machine as a package.",
        )
    return found


def _is_local(module: ModuleType) -> bool:
    return has_file(module.__name__) and is_own(module)


def _files(module: ModuleType) -> Iterator[tuple[str, Path]]:
    file, parts = Path(str(module.__file__)), module.__name__.split(".")
    if not hasattr(module, "__path__"):
        yield "/".join((*parts[:-1], file.name)), file
        return
    for inside in sorted(file.parent.rglob("*.py")):
        yield "/".join((*parts, *inside.relative_to(file.parent).parts)), inside
