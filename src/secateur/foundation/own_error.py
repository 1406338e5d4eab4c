"""Errors of other people's code: what they say, however they say it, and where they come from.

A network, a data set or a loop of the user's own may raise anything: an exception whose `str`
raises in its turn, whose text is 50 MB long or cannot be encoded, or one that ends the process.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

from secateur.foundation.own_file import is_own_file

LONGEST = 1000
"""Characters of an error's text that are told."""

_LONGEST_KIND = 100


def text_of(error: BaseException, longest: int = LONGEST) -> str:
    r"""What an error says, on one line that can be printed, stored and sent.

    Args:
        error: Any.
        longest: Characters to keep.

    Example:
        >>> text_of(ValueError("first\nsecond")), text_of(ValueError("\ud800"))
        ('first second', '\\ud800')
        >>> class Mute(Exception):
        ...     def __str__(self):
        ...         raise RuntimeError
        >>> text_of(Mute())
        '(its text cannot be had)'
    """
    return _cut(" ".join(_lines_of(error, 4 * longest)), longest)


def first_line_of(error: BaseException, longest: int = LONGEST) -> str:
    r"""The first line of what an error says that is not empty; see `text_of`.

    Example:
        >>> first_line_of(ValueError("\n first\nsecond"))
        'first'
    """
    return _cut(next(iter(_lines_of(error, longest)), ""), longest)


def _lines_of(error: BaseException, longest: int) -> list[str]:
    """What an error says, line by line, each without spaces at its ends or several in a row."""
    try:
        text = str.__str__(str(error)[:longest]).encode(errors="backslashreplace").decode()
        lines = [" ".join(line.split()) for line in text.splitlines()]
    except BaseException:  # its own code, which may even end the process
        return ["(its text cannot be had)"]
    return [line for line in lines if line]


def _cut(line: str, longest: int) -> str:
    return line if len(line) <= longest else line[: longest - 1] + "…"


def kind_of(error: BaseException) -> str:
    """The name of an error's class, on one line and not endless.

    Example:
        >>> kind_of(ValueError("no such layer"))
        'ValueError'
    """
    # As `type` has it: a class of classes may have a name of its own that raises.
    name = str(type.__dict__["__name__"].__get__(type(error)))
    return " ".join(name[:_LONGEST_KIND].split()) or "an exception"


def words_of(error: BaseException, longest: int = LONGEST) -> str:
    """The kind of an error, and what it says.

    Example:
        >>> words_of(KeyError("conv9")), words_of(SystemExit(0))
        ("KeyError: 'conv9'", 'SystemExit: 0')
    """
    text = text_of(error, longest)
    return f"{kind_of(error)}: {text}" if text else kind_of(error)


def place_of(error: BaseException) -> str:
    """Where code of the user's own had the error pass, as near to its origin as such code stands.

    Returns:
        `mynets.py, line 3`; empty if all that it passed is Python's, a package's or ours.

    Example:
        >>> try:
        ...     int("x")
        ... except ValueError as error:
        ...     place_of(error)
        '<doctest secateur.foundation.own_error.place_of[0]>, line 2'
    """
    return _place(error.__traceback__)


def _place(passed: TracebackType | None) -> str:
    found = ""
    for frame, line in traceback.walk_tb(passed):
        file = frame.f_code.co_filename
        if is_own_file(file):
            found = f"{Path(file).name}, line {line}"
    return found
