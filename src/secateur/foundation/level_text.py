"""A level as text."""

from __future__ import annotations

from collections.abc import Sequence


def level_text(level: Sequence[float]) -> str:
    """The sparsities of a level's parts with slashes between; empty for a level without parts.

    Example:
        >>> level_text([0.5]), level_text([0.25, 0.9]), level_text([])
        ('0.5', '0.25/0.9', '')
    """
    return "/".join(f"{share:g}" for share in level)
