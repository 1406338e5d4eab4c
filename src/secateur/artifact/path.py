"""Paths of model files, as a caller gives them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from secateur.errors import ArtifactError


def checked_path(path: str | bytes | os.PathLike[str], operation: str) -> Path:
    """A path, whatever type it was given in.

    Args:
        path: A text, bytes, or a path object.
        operation: What it is for, for the message.

    Raises:
        ArtifactError: It is none of these, is empty, or no system has such a path.

    Example:
        >>> checked_path(b"net.safetensors", "saving a model").name
        'net.safetensors'
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        text = ""
    if not text or "\0" in text:
        raise ArtifactError(
            operation,
            "the path",
            given=f"{path!r:.80}",
            expected="the path of a file",
            remedy="Pass a text or a pathlib.Path.",
        )
    return Path(text)


def check_file(path: Path) -> None:
    """Refuse what is no file: a pipe would be waited for, a device might never end.

    Raises:
        ArtifactError: There is none, or it is a folder, a pipe, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
        reason = "" if stat.S_ISREG(mode) else "a pipe or a device"
        reason = "a folder" if stat.S_ISDIR(mode) else reason
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise ArtifactError(
            "reading a model file",
            str(path),
            given=f"unreadable ({reason})",
            expected="a model file",
            remedy="Check the path.",
        )
