"""Whole numbers that a caller gives: Python's, numpy's or a tensor's."""

from __future__ import annotations

import operator
from typing import Any

from secateur.errors import UsageError


def positive(operation: str, **numbers: Any) -> list[int]:
    """Whole numbers of 1 or more, as Python's own.

    Args:
        operation: What they are for, for the message.
        numbers: By the names that the caller knows.

    Raises:
        UsageError: One is less than 1, or no whole number.

    Example:
        >>> import numpy as np
        >>> positive("timing", batch=np.int64(8), repeats=3)
        [8, 3]
        >>> positive("timing", batch=0)
        Traceback (most recent call last):
        ...
        secateur.errors.UsageError: timing: batch is 0, expected 1 or more. Pass a positive integer.
    """
    found = []
    for name, number in numbers.items():
        try:
            whole = operator.index(number)
        except (TypeError, ValueError, RuntimeError):
            whole = 0
        if whole < 1 or isinstance(number, bool):
            raise UsageError(
                operation,
                name,
                given=f"{number!r:.80}",
                expected="1 or more",
                remedy="Pass a positive integer.",
            )
        found.append(whole)
    return found
