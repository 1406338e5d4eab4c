"""Printing: tables fitted to a terminal, whole into a file, and signs that an encoding has not."""

from __future__ import annotations

import codecs
import io
from typing import TextIO

from rich.console import Console
from rich.table import Table

_WHOLE = 1000
_SPELT = str.maketrans({
    "±": "+-", "→": "->", "µ": "u", "·": "|", "…": "...", "─": "-", "━": "=", "▸": ">",
    "✓": "ok", "✗": "x",
})  # fmt: skip


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


def _spell(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return b"".join(map(_bytes_of, error.object[error.start : error.end])), error.end


def _bytes_of(sign: str) -> bytes:
    if "\udc80" <= sign <= "\udcff":  # a byte of a file name that is no text
        return sign.encode("ascii", "surrogateescape")
    return sign.translate(_SPELT).encode("ascii", "backslashreplace")


def print_table(table: Table) -> None:
    """Print a table on standard output.

    On a terminal its cells are folded to the width. Elsewhere it is as wide as it needs to be,
    so that every row is one line for the next program.
    """
    console = Console()
    if not console.is_terminal:
        ruler = Console(width=_WHOLE)
        width = table.__rich_measure__(ruler, ruler.options).maximum
        console = Console(width=width, color_system=None)
    console.print(table)
