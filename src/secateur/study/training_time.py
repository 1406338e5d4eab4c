"""Training time: the seconds of training that led to a point, in its own run and those before."""

from __future__ import annotations

import math
from collections.abc import Mapping

_COPIED = "like"
"""A net trained from scratch takes another's masks, and none of its training."""


def along(
    parents: Mapping[str, Mapping[str, str]], seconds: Mapping[str, float | None]
) -> dict[str, float | None]:
    """The seconds of every run and all that it started from, each run counted once.

    Args:
        parents: Of each run, role -> digest.
        seconds: What each run trained by itself; None where it was not recorded.

    Returns:
        By digest; None where one of them was not recorded.

    Example:
        >>> along({"a": {}, "b": {"base": "a"}}, {"a": 2.0, "b": 1.5})
        {'a': 2.0, 'b': 3.5}
    """
    found: dict[str, float | None] = {}
    for digest in parents:
        each = [seconds.get(one) for one in _before(digest, parents)]
        known = [one for one in each if one is not None]
        # Exactly, for runs are in no order and a plain sum would depend on it.
        found[digest] = math.fsum(known) if len(known) == len(each) else None
    return found


def _before(digest: str, parents: Mapping[str, Mapping[str, str]]) -> set[str]:
    """A run and those that it started from; a store of somebody else may name them in a circle."""
    seen: set[str] = set()
    left = [digest]
    while left:
        one = left.pop()
        if one in seen:
            continue
        seen.add(one)
        roles = parents.get(one, {})
        left.extend(parent for role, parent in roles.items() if role != _COPIED)
    return seen
