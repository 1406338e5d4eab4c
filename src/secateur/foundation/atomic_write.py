"""Atomic writes: under a name there is the old file or the whole new one, never a part."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secateur.errors import ArtifactError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write under; the file takes `path` once it is whole and on disk.

    If the block fails, nothing is left. A writer that is killed leaves a `.partial` file, which
    no reader looks at.

    Args:
        path: What to make or replace.

    Raises:
        ArtifactError: The folder cannot be written, or the disk is full.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp(), "a.txt")
        >>> with replacing(target) as partial:
        ...     _ = partial.write_text("whole")
        >>> target.read_text(), len(list(target.parent.iterdir()))
        ('whole', 1)
    """
    partial = path.parent / f".{path.name[:64]}.{uuid.uuid4().hex[:12]}.partial"
    try:
        with replaced_by(partial, path):
            yield partial
    except OSError as error:
        raise ArtifactError(
            "writing a model file",
            str(path),
            given=f"not writable ({error.strerror or error})",
            expected="a folder with room for it",
            remedy="Choose another path, or free the disk; what was there before is untouched.",
        ) from error


@contextmanager
def replaced_by(partial: Path, path: Path, *, synced: bool = True) -> Iterator[Path]:
    """Let a file that the block writes take another's name once it is whole.

    Errors of the system are passed on: each room says in its own words what was not written.

    Args:
        partial: What the block writes; nothing is left under this name.
        path: What to make or replace, in the same folder.
        synced: Only once it is on the disk, for what has to outlive a power cut.

    Raises:
        OSError: The file cannot be written.
    """
    try:
        yield partial
        if synced:
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        partial.replace(path)
        if synced:
            _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """A rename outlives a power cut only once the folder is on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
