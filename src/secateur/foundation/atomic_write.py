"""Atomic writes: under a name there is the old file or the whole new one, never a part."""

from __future__ import annotations

import os
import stat
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
        ArtifactError: The folder cannot be written, the disk is full, or a folder, a pipe or a
            device has that name.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp(), "a.txt")
        >>> with replacing(target) as partial:
        ...     _ = partial.write_text("whole")
        >>> target.read_text(), len(list(target.parent.iterdir()))
        ('whole', 1)
    """
    partial = path.parent / f".{path.name[:64]}.{uuid.uuid4().hex[:12]}.partial"
    if found := no_target(path):
        raise ArtifactError(
            "writing a model file",
            str(path),
            given=found,
            expected="a file, or nothing",
            remedy="Choose another path; nothing was written.",
        )
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


def no_target(path: Path) -> str:
    """What lies under a name and is no file that a new one may replace; empty if none does.

    A folder, a pipe or a device is not replaced: whoever named it meant another. Of a link to a
    file the link itself is, and what it points to stays as it was.

    Example:
        >>> no_target(Path(os.devnull)), no_target(Path("no/such/file"))
        ('a pipe or a device', '')
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # nothing there, or an error that writing will meet, too
        return ""
    if stat.S_ISREG(mode):
        return ""
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"


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
