"""The lock of a run folder: one sweep at a time writes it, having shown that it can.

Two locks are held. The one of the file `.lock` is what every version of secateur looks at; a file
can be removed, and the next sweep would lock a new one. The folder's own lock goes with the folder
itself; where a file system has none for folders, the file's has to do.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from secateur.errors import StoreError
from secateur.study.database import FILE
from secateur.study.folder import POINTS, check_folder, draft, open_lock
from secateur.study.patience import retried

LOCK = ".lock"
_PROBE = 1 << 20


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Hold a folder's locks, having shown that it can be written.

    Args:
        folder: Made if absent.

    Raises:
        StoreError: It cannot be written, or another process writes it.
    """
    check_folder(folder)
    with ExitStack() as held:
        try:
            retried(lambda: _probe(folder))
            lock = held.enter_context(os.fdopen(retried(lambda: open_lock(folder / LOCK)), "a"))
            own = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            held.callback(os.close, own)
        except OSError as error:
            raise unwritable(folder, f"not writable ({error.strerror})") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _lock_folder(own)
        except BlockingIOError:
            raise unwritable(folder, "in use by another sweep") from None
        yield


def _probe(folder: Path) -> None:
    (folder / POINTS).mkdir(parents=True, exist_ok=True)
    if (folder / FILE).exists() and (folder / FILE).stat().st_nlink > 1:
        raise unwritable(folder, f"one whose {FILE} has another name elsewhere, too")
    probe = draft(folder / ".probe")
    try:
        with probe.open("wb") as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _lock_folder(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # some network file systems lock no folders


def is_in_use(folder: Path) -> bool:
    """Whether a sweep writes the folder now; nothing is made or changed."""
    for name, flags in ((folder / LOCK, os.O_NOFOLLOW), (folder, os.O_DIRECTORY)):
        with suppress(FileNotFoundError, NotADirectoryError):
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | flags)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError:
                continue
            finally:
                os.close(descriptor)
    return False


def unwritable(folder: Path, given: str, needed: str = "") -> StoreError:
    """The error about a folder in which nothing can be written."""
    room = f" with {needed} bytes free" if needed else ""
    return StoreError(
        "preparing the run folder",
        str(folder),
        given=given,
        expected=f"a folder that this process alone can write{room}",
        remedy="Choose another folder with --out, or free it; nothing was trained yet.",
    )
