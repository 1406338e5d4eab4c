"""Paths of model files, as a caller gives them."""

from __future__ import annotations

import os
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
