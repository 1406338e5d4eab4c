"""The budget in words: what the points of a study have consumed, for captions."""

from __future__ import annotations

from collections.abc import Iterable

from secateur.point import Point


def budget_words(points: Iterable[Point]) -> str:
    """A sentence that says whether all points have had the same; empty if there are none.

    It goes by what was consumed, whatever was asked for.
    """
    spent = {point.epochs.cumulative for point in points}
    if not spent:
        return ""
    if len(spent) == 1:
        return f"Equal budget: every point had {spent.pop()} epochs in all."
    return f"Unequal budget: points had {min(spent)} to {max(spent)} epochs in all."
