"""Patience: a write that fails for a moment is tried again before anything is given up.

A network disk that is remounted, a busy one, a cable: such errors are gone at the next try. A
disk that is full or read-only stays so, and is told at once.
"""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

PAUSES = (0.05, 0.25, 1.0)
"""Seconds before each further try."""

_PASSING = frozenset(
    (errno.EIO, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.ENOLCK)
)
# The low byte of an SQLite error says what kind it is.
_KIND = 0xFF
_PASSING_SQLITE = frozenset((sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN))

Result = TypeVar("Result")


def retried(action: Callable[[], Result], pauses: Sequence[float] | None = None) -> Result:
    """Do something that may fail for a moment; once more after each pause.

    Args:
        action: What may be done again from its beginning.
        pauses: In seconds; `PAUSES` if None.

    Raises:
        OSError: Every try failed, or an error came that does not pass.
        sqlite3.Error: Likewise.

    Example:
        >>> tries = iter([OSError(5, "Input/output error"), None])
        >>> def write():
        ...     error = next(tries)
        ...     if error:
        ...         raise error
        ...     return "written"
        >>> retried(write, pauses=[0.0])
        'written'
    """
    for pause in PAUSES if pauses is None else pauses:
        try:
            return action()
        except (OSError, sqlite3.Error) as error:
            if not passes(error):
                raise
        time.sleep(pause)
    return action()


def passes(error: OSError | sqlite3.Error) -> bool:
    """Whether an error may be gone at the next try.

    Example:
        >>> passes(OSError(5, "Input/output error")), passes(OSError(28, "No space left"))
        (True, False)
    """
    if isinstance(error, OSError):
        return not isinstance(error, BlockingIOError) and error.errno in _PASSING
    return getattr(error, "sqlite_errorcode", 0) & _KIND in _PASSING_SQLITE
