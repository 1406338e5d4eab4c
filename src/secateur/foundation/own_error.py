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
    try:
        text = str(error)[: 4 * longest]
    except BaseException:  # its own code, which may even end the process
        return "(its text cannot be had)"
    line = " ".join(text.split()).encode(errors="backslashreplace").decode()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def words_of(error: BaseException, longest: int = LONGEST) -> str:
    """The kind of an error, and what it says.

    Example:
        >>> words_of(KeyError("conv9")), words_of(SystemExit(0))
        ("KeyError: 'conv9'", 'SystemExit: 0')
    """
    text = text_of(error, longest)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


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
