"""Stopping: a sweep that is told to end by SIGTERM ends as it does by Ctrl-C, with its own code.

Batch systems and containers send it before they kill. Without an answer nothing would be lost, but
what lies in temporary folders would stay, and trackers would not hear of the end.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

TERMINATED = 143
"""The exit code: 128 and the number of the signal, as shells have it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` where SIGTERM comes within the block; once, for the end takes a moment.

    In another thread than the main one signals stay what they are.
    """

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
