"""A level as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from secateur.foundation.target import Target

if TYPE_CHECKING:
    from secateur.foundation.level import Sparsity


def level_text(level: Sequence[Sparsity]) -> str:
    """The sparsities of a level's parts with slashes between; empty for a level without parts.

    A table of patterns stands in its order, as the command line takes it.

    Example:
        >>> level_text([0.5]), level_text([0.25, 0.9]), level_text([])
        ('0.5', '0.25/0.9', '')
        >>> level_text([(("features.*", 0.5), ("fc", 0.9))])
        'features.*=0.5;fc=0.9'
    """
    return "/".join(_part(part) for part in level)


def _part(part: Sparsity) -> str:
    if isinstance(part, Target):
        return str(part)
    if isinstance(part, float | int):
        return f"{part:g}"
    return ";".join(f"{pattern}={share:g}" for pattern, share in part)
