"""The sum of a checkpoint: what its bytes were when they were written, and whether they still are.

A run's row keeps the SHA-256 of its file. Stores of earlier versions have none: of those files the
form is checked, which a cut-off one does not pass.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

State = Literal["sound", "unverified", "missing", "damaged"]

_PIECE = 1 << 20
_LONGEST_HEADER = 100 << 20


@dataclass(frozen=True)
class Verdict:
    """What is known of a checkpoint's file.

    Attributes:
        state: `sound`: the bytes are those that were written; `unverified`: there is no sum, and
            the file has the form of one; `missing`; `damaged`.
        why: What is wrong with it; empty of a sound one.
    """

    state: State
    why: str = ""

    @property
    def usable(self) -> bool:
        """Whether a run may count as finished, and others may start from it."""
        return self.state in ("sound", "unverified")


def sum_of(content: bytes) -> str:
    """The SHA-256 of a checkpoint's bytes, in hex.

    Example:
        >>> sum_of(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(content).hexdigest()


def judge(path: Path, expected: str = "") -> Verdict:
    """Read a checkpoint to its end and compare it with its sum.

    No link is followed, and what is no file (a pipe, a device, a folder) is damaged and not
    waited for.

    Args:
        path: The file.
        expected: Its SHA-256 in hex; empty where none was noted.

    Example:
        >>> judge(Path("no/such.safetensors"))
        Verdict(state='missing', why='there is no such file')
    """
    try:
        with open_file(path) as file:
            if not expected:
                why = _why_no_tensors(file)
                return Verdict("damaged", why) if why else Verdict("unverified", "no sum was noted")
            found = hashlib.sha256()
            for piece in _pieces(file):
                found.update(piece)
    except FileNotFoundError:
        return Verdict("missing", "there is no such file")
    except OSError as error:
        return Verdict("damaged", f"unreadable ({error.strerror or error})")
    if found.hexdigest() != expected:
        return Verdict("damaged", "its bytes are not those that were written")
    return Verdict("sound")


def open_file(path: Path) -> IO[bytes]:
    """Open a file of a run folder to read; never through a link, and never waiting for a pipe.

    Raises:
        OSError: It is absent, unreadable or no file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(None, "no file")
    return os.fdopen(descriptor, "rb")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _why_no_tensors(file: IO[bytes]) -> str:
    """Why a file is no whole safetensors file, by its header and its length; empty if it is one."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _LONGEST_HEADER):
        return "cut off, or no safetensors file"
    try:
        header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        whole = 8 + length + max(ends, default=0)
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError, IndexError):
        return "without the header of a safetensors file"
    return "" if whole == size else f"{size:,} bytes long instead of {whole:,}"
