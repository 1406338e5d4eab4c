"""Printing: what every command writes to a terminal, a file or a pipe goes through here.

Words of files, stores and exceptions of others are among it. So nothing but words gets through:
no control character, no escape sequence, no mark of direction, whichever command says it. Signs
that an encoding has not are spelt, and a reader who has enough is no error.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from secateur.foundation.html import plain

_WHOLE = 1000
_SPELT = str.maketrans({
    "±": "+-", "→": "->", "µ": "u", "·": "|", "…": "...", "─": "-", "━": "=", "▸": ">",
    "✓": "ok", "✗": "x", "\N{REPLACEMENT CHARACTER}": "?",
})  # fmt: skip
# Bytes of file names that are no text are let through, but for those that some terminals obey.
_ODD = re.compile(r"[^\n\t\x20-\x7e\udca0-\udcff]")


def words(text: str) -> str:
    r"""Text of which nothing moves a cursor, hides, or turns the line around; its lines stay lines.

    Example:
        >>> words("one\x1b[2J\rtwo\n")
        'one�[2J two\n'
    """
    return _ODD.sub(lambda found: plain(found[0]), text)


def spell_out(stream: TextIO) -> None:
    """Have a stream write `+-` and the like for signs that its encoding has not.

    In the locale C, or into a pipe on some systems, that is every sign beyond ASCII: without this
    a study would be done and its table end in an error.

    Args:
        stream: Standard output, say; one that is no stream of text is left as it is.
    """
    if isinstance(stream, io.TextIOWrapper):
        codecs.register_error("secateur-spelt", _spell)
        stream.reconfigure(errors="secateur-spelt")


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    """The sign at which an encoder has stopped, spelt in signs that every encoding has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign, end = error.object[error.start], error.start + 1
    if "\udc80" <= sign <= "\udcff" and _is_wider_ascii(error.encoding):
        return sign.encode("ascii", "surrogateescape"), end  # a byte of a file name
    return sign.translate(_SPELT).encode("ascii", "backslashreplace").decode(), end


def _is_wider_ascii(encoding: str) -> bool:
    """Whether a byte of a file name may stand between others: not where letters are of two."""
    return "a".encode(encoding) == b"a"


class Outlet:
    """A stream that takes all that is written, whether or not there is anybody left to read it.

    `| head` has enough after some lines: the command goes on to its end in silence, and its exit
    code is what it would have been. What else goes wrong (a disk that is full) is kept.

    Args:
        stream: Where it goes.

    Attributes:
        failure: What went wrong; None so far.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        # Whoever finds the bytes beneath would write past this.
        if name in ("buffer", "detach"):
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or pretend to; as many letters as were given."""
        if self.failure is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._fail(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write some texts, one after another."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what is still held back."""
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = error
        # What is held back would be tried again, and fail again, when Python ends.
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, self._stream.fileno())
                self._stream.flush()
            finally:
                os.close(nowhere)


class Screen(Outlet):
    """A stream of `words`, whoever writes to it.

    Args:
        stream: Where they go.

    Attributes:
        styled: Where a `Terminal` writes, whose colours are escape sequences.
    """

    def __init__(self, stream: TextIO) -> None:
        spell_out(stream)
        super().__init__(stream)
        self.styled = Outlet(stream)

    def write(self, text: str) -> int:
        """Write words."""
        super().write(words(text))
        return len(text)

    @property
    def problem(self) -> OSError | None:
        """What went wrong, other than that the reader had enough."""
        for failure in (self.failure, self.styled.failure):
            if failure is not None and not isinstance(failure, BrokenPipeError):
                return failure
        return None


@contextmanager
def screened() -> Iterator[Screen]:
    """Have all that is printed go through a `Screen`; one that was closed leads nowhere.

    Yields:
        Standard output.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    with open(os.devnull, "r+", encoding="utf-8") as nowhere:
        out, errors = (Screen(stream or nowhere) for stream in before[1:])
        sys.stdin, sys.stdout, sys.stderr = before[0] or nowhere, out, errors
        try:
            yield out
        finally:
            out.flush()
            errors.flush()
            sys.stdin, sys.stdout, sys.stderr = before


class Terminal(Console):
    """A Rich console whose words are `words`: the colours are ours, the text may be of others.

    Text is text: neither `[quartiles]` nor `:x:` means anything to it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **options})

    @property
    def file(self) -> IO[str]:
        """Where it writes: past a `Screen`, which would take the colours for words of others."""
        file = super().file
        return cast("IO[str]", file.styled) if isinstance(file, Screen) else file

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of something, all of them words but for Rich's own control codes."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else words(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)


def print_table(table: Table) -> None:
    """Print a table on standard output.

    On a terminal its cells are folded to the width. Elsewhere it is as wide as it needs to be,
    so that every row is one line for the next program.
    """
    console = Terminal()
    if not console.is_terminal:
        ruler = Terminal(width=_WHOLE)
        width = table.__rich_measure__(ruler, ruler.options).maximum
        console = Terminal(width=width, color_system=None)
    console.print(table)
