"""Files of the report room: written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from secateur.errors import StoreError
from secateur.foundation.atomic_write import no_target, replaced_by
from secateur.study.folder import PARTIAL, draft


def write_whole(path: Path, content: bytes, operation: str) -> Path:
    """Write a whole file or none: a reader never sees half of it.

    Args:
        path: Replaced once the new file is whole; its folder is made if missing.
        content: What to write.
        operation: For the message: `"writing a figure"`.

    Returns:
        The path.

    Raises:
        StoreError: The file cannot be written; what was there is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_target(path, operation)
        made = draft(path.with_name(f".{path.name[:64]}.{os.getpid()}{PARTIAL}"))
        with replaced_by(made, path, synced=False):  # it can be made again from the run folder
            made.write_bytes(content)
    except OSError as error:
        raise StoreError(
            operation,
            str(path),
            given=f"refused ({error.strerror})",
            expected="a folder with room to write into",
            remedy="Choose another folder, or free some space.",
        ) from error
    return path


def _check_target(path: Path, operation: str) -> None:
    if found := no_target(path):
        raise StoreError(
            operation,
            str(path),
            given=found,
            expected="a file, or nothing",
            remedy="Choose another path.",
        )
