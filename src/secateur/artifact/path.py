"""Paths of model files, as a caller gives them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal, get_args

from secateur.errors import ArtifactError

Format = Literal["safetensors", "onnx", "pt2"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""The kinds of model files; each is also the suffix of its files."""


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


def format_of(path: str | os.PathLike[str] | None, to: str | None, operation: str) -> Format:
    """The kind of file that a path's suffix and a word ask for, where they agree.

    Args:
        path: Where the file is to go; None where that is still open.
        to: The kind, where it was named.
        operation: What it is for, for the message.

    Returns:
        `safetensors` where nothing says anything.

    Raises:
        ArtifactError: There is no such kind, the suffix is that of another, or of none.

    Example:
        >>> format_of("net.onnx", None, "exporting"), format_of("net", "pt2", "exporting")
        ('onnx', 'pt2')
    """
    if to is not None and to not in FORMATS:
        raise ArtifactError(
            operation,
            "the kind of file",
            given=f"{to!r:.40}",
            expected=f"one of {', '.join(FORMATS)}",
            remedy="Name one of these, or leave it to the suffix of the file.",
        )
    # What stands behind the last dot, also of `.onnx`, which a system takes for a hidden name.
    suffix = "" if path is None else Path(path).name.lower().partition(".")[2].rpartition(".")[2]
    by_suffix = next((one for one in FORMATS if one == suffix), None)
    wanted = next((one for one in FORMATS if one == to), None)
    if by_suffix and wanted and by_suffix != wanted:
        raise ArtifactError(
            operation,
            str(path),
            given=f"a name for {by_suffix}",
            expected=f"one that ends in .{wanted}, the kind that was asked for",
            remedy=f"End it in .{wanted}, or ask for {by_suffix}.",
        )
    # `net-0.5` has no suffix, but a number in its name.
    if not by_suffix and not wanted and suffix and not suffix.isdecimal():
        raise ArtifactError(
            operation,
            str(path),
            given=f"a name that ends in .{suffix}",
            expected=f"one in .{', .'.join(FORMATS)}",
            remedy="The kind of file follows its suffix.",
        )
    return wanted or by_suffix or FORMATS[0]


def check_suffix(path: Path, kind: Format, operation: str) -> None:
    """Refuse a path whose suffix is that of another kind of file.

    Raises:
        ArtifactError: It is.
    """
    format_of(path, kind, operation)
