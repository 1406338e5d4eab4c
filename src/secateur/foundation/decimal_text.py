"""A number for reading, as a decimal that can be typed in again."""

from __future__ import annotations

import math
from fractions import Fraction


def decimal_text(value: float | Fraction, digits: int = 4) -> str:
    """A number with so many significant digits, all before the point, and no exponent.

    Example:
        >>> decimal_text(0.88505), decimal_text(60.0), decimal_text(523456.7)
        ('0.8851', '60', '523457')
    """
    number = float(value)
    size = math.floor(math.log10(abs(number))) if number else 0
    text = f"{number:.{max(0, digits - 1 - size)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
