"""The files of a run folder: every name is checked where it is used, and no write follows a link.

A run folder may come from somebody else. What lies in it is data: a name that a store holds is
never a path, a link is never followed out of the folder, and what only looks like a file (a pipe,
a device, a socket) is refused by name instead of being waited for.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from secateur.errors import StoreError
from secateur.foundation.atomic_write import replaced_by
from secateur.study.patience import retried

PARTIAL = ".partial"
"""The suffix of a file that is being written, or whose writer was killed."""

FILES = (
    "study.sqlite", "study.sqlite-journal", "study.sqlite-wal", "study.sqlite-shm", ".lock",
    ".pulse", "pulse.json", "tuning.sqlite", "tuning.sqlite-journal", "best.toml",
)  # fmt: skip
POINTS = "points"
FOLDERS = (POINTS, "figures", "exports", "tensorboard")

_LONGEST = 120
_NAME = re.compile(rf"[\w.+-]{{1,{_LONGEST}}}")
# Names that Windows takes for devices, whatever their suffix.
_RESERVED = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)))
)
_KINDS = (
    (stat.S_ISLNK, "a link to elsewhere"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def component(name: str, what: str) -> str:
    """Return `name` if it can be one component of a path and nothing else.

    Args:
        name: What is to become the name of a file or a folder.
        what: Whose name it is, for the message: `"the method"`.

    Raises:
        StoreError: It is empty, too long, hidden or reserved, or holds anything but letters,
            digits, `.`, `_`, `+` and `-`.

    Example:
        >>> component("magnitude-0.9-0", "the point")
        'magnitude-0.9-0'
        >>> component("../x", "the method")
        Traceback (most recent call last):
        ...
        secateur.errors.StoreError: naming a file: the method is '../x', expected a name of \
letters, digits, '.', '_', '+' and '-'. Nothing was written; this run folder does not come from \
secateur.
    """
    if _is_plain(name):
        return name
    raise StoreError(
        "naming a file",
        what,
        given=repr(name[:_LONGEST]),
        expected="a name of letters, digits, '.', '_', '+' and '-'",
        remedy="Nothing was written; this run folder does not come from secateur.",
    )


def _is_plain(name: str) -> bool:
    ends = not name.startswith((".", "-")) and not name.endswith(".")
    reserved = name.partition(".")[0].lower() in _RESERVED
    return _NAME.fullmatch(name) is not None and ends and not reserved


def inside(folder: Path, *parts: str) -> Path:
    """A path in a run folder, each of its parts a plain name, and none of them a link.

    Args:
        folder: The run folder; where it lies is its owner's business, links included.
        parts: The names below it.

    Raises:
        StoreError: A part is no plain name, or what lies there is a link, a pipe or a device, or
            not a folder where one has to be.
    """
    path = folder
    for place, part in enumerate(parts, start=1):
        path = path / (part if part in FILES else component(part, "a name in the run folder"))
        check_kind(path, folder=None if place == len(parts) else True)
    return path


def checkpoint_name(digest: str) -> str:
    """The path of a run's weights inside the run folder.

    Raises:
        StoreError: The digest cannot be part of a file's name.

    Example:
        >>> checkpoint_name("0123456789" * 6)
        'points/01234567890123456789.safetensors'
    """
    return f"{POINTS}/{component(digest, 'the digest of a run')[:20]}.safetensors"


def check_kind(path: Path, folder: bool | None = False) -> None:
    """Refuse whatever is neither absent nor what it has to be.

    Args:
        path: In a run folder.
        folder: Whether it has to be a folder (True), a file (False), or either (None).

    Raises:
        StoreError: It is a link, a pipe, a device, or the other of the two.
    """
    mode = _mode(path)
    wanted = {True: (stat.S_ISDIR,), False: (stat.S_ISREG,), None: (stat.S_ISDIR, stat.S_ISREG)}
    if mode is None or any(fits(mode) for fits in wanted[folder]):
        return
    found = next((name for fits, name in _KINDS if fits(mode)), "a device")
    expected = {True: "a folder", False: "a file", None: "a file or a folder"}[folder]
    raise StoreError(
        "opening a run folder",
        str(path),
        given=f"unusable ({found})",
        expected=f"{expected} of the run's own",
        remedy="Nothing was opened or written there; remove it, if you trust the rest.",
    )


def _mode(path: Path) -> int | None:
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # the other of a name that no system has
        raise StoreError(
            "opening a run folder",
            repr(str(path)) if isinstance(error, ValueError) else str(path),
            given=f"out of reach ({getattr(error, 'strerror', error)})",
            expected="a run folder that can be read",
            remedy="Check the path and its permissions.",
        ) from None


def check_folder(folder: Path) -> None:
    """Refuse a run folder in which a name that is read or written is a link, a pipe or a device.

    Raises:
        StoreError: One is; it is named.
    """
    for name in FILES:
        check_kind(folder / name)
    for name in FOLDERS:
        check_kind(folder / name, folder=True)


def draft(path: Path) -> Path:
    """Make an empty file to be written and renamed; returns its path.

    Whatever lay under that name is taken away first, a link itself and not what it points to, and
    the file must then be new: nothing that lies in the folder already is ever written through.

    Raises:
        OSError: It cannot be made.
    """
    path.unlink(missing_ok=True)
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(path, flags, 0o666))
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that has its name once it is whole and on the disk; try again what passes.

    Args:
        path: Made or replaced.
        content: All of it.

    Raises:
        StoreError: It cannot be written; what was there before is untouched.
    """

    def once() -> None:
        # A name of its own: a worker that outlived its sweep may still be writing the same run.
        partial = draft(path.with_suffix(f".{os.getpid()}{PARTIAL}"))
        with replaced_by(partial, path):
            partial.write_bytes(content)

    try:
        retried(once)
    except OSError as error:
        raise StoreError(
            "writing a file of a run",
            str(path),
            given=f"not writable ({error.strerror or error})",
            expected="a disk with room for it",
            remedy="Free the disk and give the same command: finished runs are kept.",
        ) from None


def remove_partials(folder: Path, digest: str = "") -> None:
    """Remove what killed writers left.

    Args:
        folder: The run folder.
        digest: Of the run whose file they were writing; all that they left if empty.
    """
    started = f"{Path(checkpoint_name(digest)).stem}." if digest else ""
    own = () if digest else folder.glob(f".*{PARTIAL}")
    for left in (*own, *(folder / POINTS).glob(f"{started}*{PARTIAL}")):
        with suppress(OSError):  # a folder of that name is nobody's part
            left.unlink(missing_ok=True)


def open_lock(path: Path) -> int:
    """The descriptor of a lock file, made if absent; never through a link.

    Raises:
        OSError: It cannot be made, or is a link.
        StoreError: It is no file.
    """
    check_kind(path)
    flags = os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, flags, 0o666)
