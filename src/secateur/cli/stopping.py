"""Stopping: a sweep that is told to end by SIGTERM ends as it does by Ctrl-C, with its own code.

Batch systems and containers send it before they kill. Without an answer nothing would be lost, but
what lies in temporary folders would stay, and trackers would not hear of the end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STDERR = 2
TERMINATED = 143
"""The exit code: 128 and the number of the signal, as shells have it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` where SIGTERM comes within the block; once, for the end takes a moment.

    That the first Ctrl-C was heard is said at once. In another thread than the main one signals
    stay what they are.
    """

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say_stopping()
        raise Terminated

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say_stopping()
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:
        yield
        return
    # Whoever ignores Ctrl-C, or has an answer of their own, keeps it.
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def say_stopping() -> None:
    """Say that the end has begun, past what may be half written when a signal comes."""
    with suppress(OSError):
        os.write(STDERR, b"\nStopping: what has finished is kept. Once more ends it at once.\n")
