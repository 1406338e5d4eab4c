"""The fit of a checkpoint without a sum: whether it can be the file that its point was counted on.

A point's row has the name, the shape and the exact zeros of every prunable layer. Files of two
points that were exchanged do not have each other's.
"""

from __future__ import annotations

from pathlib import Path

from secateur.errors import StoreError
from secateur.foundation.html import plain
from secateur.point import Point
from secateur.study.checkpoint import load_checkpoint


def why_no_fit(path: Path, point: Point) -> str:
    """Why a file cannot be a point's; empty where nothing speaks against it.

    Args:
        path: The file.
        point: What was measured.
    """
    try:
        state, _ = load_checkpoint(path)
    except StoreError as error:
        return error.given
    for layer in point.layers:
        held = state.get(layer.name)
        if held is None or tuple(held.shape) != tuple(layer.shape):
            return f"without the weight {plain(layer.name, 80)!r} of the point"
        zeros = held.numel() - int(held.count_nonzero())
        if zeros != layer.zeros:
            return f"with {zeros:,} zeros in {plain(layer.name, 80)!r}, not {layer.zeros:,}"
    return ""
