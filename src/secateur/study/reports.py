"""Reports: what a worker tells of its run, line by line through a pipe.

Lines of JSON, and no pickles: whoever reads them calls nothing of the user's, waits for no half of
a message, and a line that somebody else wrote into the pipe is told from one of ours.
"""

from __future__ import annotations

import json
import os
from typing import Any

_CHUNK = 1 << 20
_LONGEST = 1 << 28
_WORDS = {"epoch": 1, "done": 1, "failed": 2}
LOST = 83
"""The code of a worker that has lost its pipe, and has no other way to say so."""

Report = tuple[Any, ...]
"""`("epoch", {...})`, `("done", {...})` or `("failed", reason, details)`."""


class ReaderGoneError(BaseException):
    """Nobody reads the pipe any more: the sweep is gone. No `except Exception` holds it up."""


class PipeLostError(BaseException):
    """The pipe is no longer there: code in this process has closed what it had not opened."""


class Reporter:
    """Writes reports.

    Args:
        descriptor: Of the pipe's end; whoever made it closes it.

    Example:
        >>> ours, theirs = os.pipe()
        >>> Reporter(theirs).send("epoch", {"epoch": 1})
        >>> Reports(ours).read()
        [('epoch', {'epoch': 1})]
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pipe = self._mark()

    def _mark(self) -> tuple[int, int]:
        found = os.fstat(self._descriptor)
        return found.st_dev, found.st_ino

    def send(self, *report: Any) -> None:
        """Write one report.

        Raises:
            ReaderGoneError: Nobody reads any more.
            PipeLostError: What the descriptor leads to is not the pipe.
            TypeError: JSON has no word for a value.
        """
        line = json.dumps(report).encode() + b"\n"
        try:
            # The number may be a file's of the user's own by now, which nothing is written to.
            if self._mark() != self._pipe:
                raise PipeLostError
            while line:
                line = line[os.write(self._descriptor, line) :]
        except BrokenPipeError:
            raise ReaderGoneError from None
        except OSError:
            raise PipeLostError from None


class Reports:
    """Reads reports, as much as there is.

    Args:
        descriptor: Of the pipe's end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._begun = bytearray()

    def read(self) -> list[Report] | None:
        """What has come since; to be called when there is something to be read.

        Returns:
            The reports that are whole; None at the pipe's end.

        Raises:
            ValueError: Something else was written into the pipe.
        """
        try:
            found = os.read(self._descriptor, _CHUNK)
        except OSError:
            return None
        if not found:
            return None
        self._begun += found
        *lines, rest = self._begun.split(b"\n")
        if len(rest) > _LONGEST:
            raise ValueError("a report without an end")
        self._begun = bytearray(rest)
        return [_parsed(bytes(line)) for line in lines]


def _parsed(line: bytes) -> Report:
    report = json.loads(line)
    known = isinstance(report, list) and report and report[0] in _WORDS
    if not known or len(report) != 1 + _WORDS[report[0]]:
        raise ValueError("no report")
    return tuple(report)
