"""The budget in words: what the points of a study have consumed, for captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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


def tuned_words(settings: Mapping[str, Any]) -> str:
    """A sentence that says what was consumed before a study; empty if it is not known of any.

    Args:
        settings: Of a store.

    Example:
        >>> tuned_words({"tuned_epochs": 84})
        'The search for its settings took 84 epochs more, which no point counts.'
    """
    epochs = settings.get("tuned_epochs")
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs <= 0:
        return ""
    return f"The search for its settings took {epochs:,} epochs more, which no point counts."
