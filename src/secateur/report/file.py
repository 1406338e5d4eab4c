"""Files of the report room: written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from secateur.errors import StoreError


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
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise StoreError(
            operation,
            str(path),
            given=f"refused ({error.strerror})",
            expected="a folder with room to write into",
            remedy="Choose another folder, or free some space.",
        ) from error
    return path
