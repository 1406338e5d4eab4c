"""A background worker: one tracker in a thread of its own, so that no sweep waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

PATIENCE = 60.0
"""Seconds that the end of a sweep waits for a tracker that makes no progress."""

Task = Callable[[], None]


class BackgroundWorker:
    """Performs tasks in order, until one fails: then it warns once and drops whatever comes.

    Args:
        name: Of the tracker, for the warning.
        warn: Told of the failure, from any thread.
        patience: Seconds without progress after which `close` gives up.

    Example:
        >>> worker = BackgroundWorker("demo", print)
        >>> worker.put(lambda: print("shown"))
        >>> worker.put(lambda: [][0])
        >>> worker.put(lambda: print("never shown"))
        >>> worker.close()
        shown
        Tracking with demo has stopped: IndexError: list index out of range. The sweep goes on, \
and the same command adds what is missing.
    """

    def __init__(self, name: str, warn: Callable[[str], None], patience: float = PATIENCE) -> None:
        self.name = name
        self.broken = False
        self._warn = warn
        self._patience = patience
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._beats = 0
        # A daemon: a server that never answers must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name=f"track-{name}", daemon=True)
        self._thread.start()

    def put(self, task: Task) -> None:
        """Have a task performed; returns at once."""
        if not self.broken:
            self._tasks.put(task)

    def beat(self) -> None:
        """Say, from within a long task, that it makes progress."""
        self._beats += 1

    def close(self) -> None:
        """Wait for the tasks, as long as they make progress."""
        self._tasks.put(None)
        seen, since = self._beats, time.monotonic()
        while self._thread.is_alive() and time.monotonic() - since < self._patience:
            self._thread.join(0.05)
            if self._beats != seen:
                seen, since = self._beats, time.monotonic()
        if self._thread.is_alive():
            self._break(f"no answer for {self._patience:g} s")

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            if self.broken:
                continue
            try:
                task()
            except Exception as error:
                self._break(_first_line(error))
            self.beat()

    def _break(self, why: str) -> None:
        if not self.broken:
            self.broken = True
            self._warn(
                f"Tracking with {self.name} has stopped: {why}. The sweep goes on, and the same "
                "command adds what is missing."
            )


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [""])[0].rstrip(".")
    return f"{type(error).__name__}: {line}"
