"""Harmless values: what somebody else's file may hand to a function of the user's own."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z0-9_.+-]{0,64}")


def is_harmless(value: object) -> bool:
    """Whether an option is a number or a plain word, which is no path.

    Example:
        >>> is_harmless([1, "relu"]), is_harmless("../x")
        (True, False)
    """
    if isinstance(value, list):
        return all(map(is_harmless, value))
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return value is None or isinstance(value, int | float)
