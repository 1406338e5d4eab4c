"""The lock of a run folder: one sweep writes it, or several that share it; each can, and shows it.

Two locks are held. The one of the file `.lock` is what every version of secateur looks at; a file
can be removed, and the next sweep would lock a new one. The folder's own lock goes with the folder
itself; where a file system has none for folders, the file's has to do.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from secateur.errors import StoreError
from secateur.study.database import FILE
from secateur.study.folder import PARTIAL, POINTS, check_folder, draft, open_lock
from secateur.study.patience import retried

LOCK = ".lock"
_PROBE = 1 << 20
_PAUSES = (0.05, 0.15, 0.4, 1.0)


@contextmanager
def writable(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder's locks, having shown that it can be written.

    Args:
        folder: Made if absent.
        shared: Beside others that say so too, and only beside those.

    Raises:
        StoreError: It cannot be written, or another process writes it that does not share it.
    """
    check_folder(folder)
    with ExitStack() as held:
        try:
            retried(lambda: _probe(folder))
            lock = held.enter_context(os.fdopen(retried(lambda: open_lock(folder / LOCK)), "a+"))
            own = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            held.callback(os.close, own)
        except OSError as error:
            raise unwritable(folder, f"not writable ({error.strerror})") from None
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        # The last one of several holds it alone for a moment, while it tidies up behind them.
        for pause in (*(_PAUSES if shared else ()), 0.0):
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
                _lock_folder(own, kind)
                break
            except BlockingIOError:
                if not pause:
                    raise _in_use(folder, shared) from None
                time.sleep(pause)
        yield


def _probe(folder: Path) -> None:
    (folder / POINTS).mkdir(parents=True, exist_ok=True)
    if (folder / FILE).exists() and (folder / FILE).stat().st_nlink > 1:
        raise unwritable(folder, f"one whose {FILE} has another name elsewhere, too")
    # Of its own name: several that share the folder may begin at the same time.
    probe = draft(folder / f".probe-{uuid.uuid4().hex}{PARTIAL}")
    try:
        with probe.open("wb") as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _lock_folder(descriptor: int, kind: int) -> None:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
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
                if _is_locked(descriptor):
                    return True
            finally:
                os.close(descriptor)
    return False


def _is_locked(descriptor: int) -> bool:
    """Whether anybody holds a lock: of the kind that stands alone, or of the other."""
    for kind in (fcntl.LOCK_SH, fcntl.LOCK_EX):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # not of this kind, by this descriptor, on this file system
            continue
    return False


def _in_use(folder: Path, shared: bool) -> StoreError:
    """The error about a folder that another sweep writes which does not go with this one."""
    if not shared and not _shares(folder):
        return unwritable(folder, "in use by another sweep")
    return StoreError(
        "preparing the run folder",
        str(folder),
        given=f"in use by another sweep, which {'does not share' if shared else 'shares'} it",
        expected="a folder that one sweep writes, or several that are all told to share it",
        remedy="Give both commands with --shared, wait for the other one, or choose another "
        "folder with --out.",
    )


def _shares(folder: Path) -> bool:
    """Whether whoever holds the lock holds it with others."""
    with suppress(OSError, StoreError):
        descriptor = open_lock(folder / LOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
        return True
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
