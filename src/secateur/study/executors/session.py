"""Session: a worker and all that it has started, which end together.

A worker leads a session of its own, so that what it has started can be found when it is dead, and
ends with the sweep's process even while it cannot run a line of Python.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path

_PROC = Path("/proc")
_ROUNDS = 3


def lead() -> None:
    """Make this process, just forked, the leader of a session that ends with who had it forked.

    The end of a pipe that only its maker's process holds is watched by the kernel, which sends a
    signal to the whole group: no thread has to get its turn for that.
    """
    os.setsid()
    parent = parent_process()
    if parent is None:
        return
    with suppress(OSError, AttributeError):  # a system without it has the thread of the worker
        lifeline = int(parent.sentinel)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpid())
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)  # SIGIO ends whoever it meets


def end_started() -> None:
    """Kill whatever this process has started and has not waited for."""
    for _ in range(_ROUNDS):
        found = list(_below(os.getpid()))
        for pid in found:
            _kill(pid)
        if not found:
            return


def end(leader: int, alive: bool) -> None:
    """Kill a worker and all that it has started.

    Args:
        leader: Its number.
        alive: Whether it is known to be alive; otherwise the number may be another's by now, and
            only what belongs to its session is killed.
    """
    for _ in range(_ROUNDS):
        found = {pid for pid, parent, ids in _processes() if leader in ids and pid != leader}
        found |= set(_below(leader)) if alive else set()
        for pid in (*([leader] if alive else ()), *found):
            _kill(pid)
        end_group(leader)
        if not found:
            return


def end_group(leader: int) -> None:
    """Kill what is left of the group that a worker has led: one call, for one that has ended."""
    signal_group(leader, signal.SIGKILL)


def signal_group(leader: int, sent: signal.Signals) -> None:
    """Send a signal to a worker and what it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, sent)


def lives(pid: int) -> bool:
    """Whether there is such a process that has not ended; one that nobody waits for has.

    Example:
        >>> lives(os.getpid())
        True
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = _stat(pid)
    return not stat or stat[0] not in ("Z", "X")


def wait_for(pid: int, seconds: float) -> None:
    """Wait until a process that is nobody's child here has ended."""
    until = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.01)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _below(pid: int) -> Iterator[int]:
    """The children of a process, and theirs, as far as the system tells."""
    with suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                for word in (thread / "children").read_text().split():
                    yield int(word)
                    yield from _below(int(word))


def _processes() -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Number, parent, and group and session of every living process; none where it is not told."""
    with suppress(OSError):
        for entry in _PROC.iterdir():
            if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
                state, parent, group, session = stat[:4]
                if state not in ("Z", "X"):
                    yield int(entry.name), int(parent), (int(group), int(session))


def _stat(pid: int) -> list[str]:
    """State, parent, group, session and more of a process; empty where nothing is told."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
