"""Numbers of NumPy and torch as Python's, without loading either."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

# How `struct` writes the types of less than double precision.
_LETTERS = {"float16": "e", "float32": "f", "bfloat16": "f"}


def plain_numbers(value: Any) -> Any:
    """Numbers and arrays of NumPy and torch as Python's, wherever they stand in settings.

    A number of single precision is taken for the shortest decimal that it is: `float32(0.9)` is
    the level 0.9 and not 0.8999999761581421, which would name other runs.

    Example:
        >>> import numpy
        >>> plain_numbers({"levels": numpy.array([0.5, 0.9], "float32"), "seeds": numpy.int64(3)})
        {'levels': [0.5, 0.9], 'seeds': 3}
    """
    if isinstance(value, Mapping):
        return {plain_numbers(name): plain_numbers(each) for name, each in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain_numbers(each) for each in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _decimals(value.tolist(), _LETTERS.get(str(value.dtype).removeprefix("torch."), ""))
    return value


def finite_number(value: object) -> float | None:
    """A finite number of Python's, as a float; None if it is anything else, a bool included.

    Example:
        >>> finite_number(2), finite_number(True), finite_number(math.nan), finite_number("2")
        (2.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # of hundreds of digits
        return None
    return number if math.isfinite(number) else None


def _decimals(value: Any, letter: str) -> Any:
    if isinstance(value, list):
        return [_decimals(each, letter) for each in value]
    if not letter or not isinstance(value, float) or not math.isfinite(value):
        return value
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    exact = struct.pack(letter, value)
    return next(float(text) for text in texts if struct.pack(letter, float(text)) == exact)
