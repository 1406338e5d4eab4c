"""Apportionment: one total, shared out among layers in proportion, exactly, within bounds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction


def quotas(
    total: int,
    proportions: Sequence[Fraction],
    lows: Sequence[int],
    highs: Sequence[int],
) -> list[Fraction]:
    """What each layer gets of a total: its proportion times one common factor, within its bounds.

    The factor is the one at which the sum is the total. It is found exactly, so what a layer at
    its upper bound cannot take the others take in their proportions, and likewise below.

    Args:
        total: What is shared out.
        proportions: Above 0, one a layer.
        lows: The least that each layer gets.
        highs: The most, no less than that.

    Returns:
        One number a layer; their sum is the total, or as near to it as the bounds allow.

    Example:
        >>> found = quotas(10, [Fraction(3), Fraction(1), Fraction(1)], [0] * 3, [4] * 3)
        >>> [str(one) for one in found]
        ['4', '3', '3']
    """
    layers = list(zip(proportions, lows, highs, strict=True))

    def at(factor: Fraction) -> list[Fraction]:
        return [min(max(factor * one, Fraction(low)), Fraction(high)) for one, low, high in layers]

    if total <= sum(lows):
        return [Fraction(low) for low in lows]
    if total >= sum(highs):
        return [Fraction(high) for high in highs]
    # Between two neighbouring turns no layer meets a bound, so the sum is linear there.
    turns = sorted({bound / one for one, *bounds in layers for bound in bounds})
    place = bisect_right(turns, Fraction(total), key=lambda factor: sum(at(factor), Fraction(0)))
    below, above = at(turns[place - 1]), at(turns[place])
    way = Fraction(total - sum(below)) / (sum(above) - sum(below))
    return [one + way * (other - one) for one, other in zip(below, above, strict=True)]
