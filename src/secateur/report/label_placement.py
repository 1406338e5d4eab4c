"""Label placement: where the names at the ends of lines go so that none covers another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

GAP = 6.0  # Points between the end of a line and its label.
SPACING = 5.0  # Pixels between the boxes that stand for a line.


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, `y` upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def moved(self, right: float, up: float) -> Box:
        """The same rectangle elsewhere."""
        return Box(self.left + right, self.bottom + up, self.right + right, self.top + up)

    def overlap(self, other: Box) -> float:
        """The area that both cover, 0 where they only touch.

        Example:
            >>> Box(0, 0, 4, 2).overlap(Box(3, 1, 9, 9))
            1
        """
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return width * height if width > 0 and height > 0 else 0


@dataclass(frozen=True)
class Move:
    """Where a label goes: to which side of its line's end, and how far up, in pixels."""

    left: bool
    up: float


def place(labels: Sequence[Box], obstacles: Sequence[Box], within: Box, gap: float) -> list[Move]:
    """Choose a move for each label, which stands `gap` to the right of its line's end.

    Greedy and deterministic, in the order given: the cheapest place that overlaps no label
    placed before and stays in bounds. Cheap is near, on the right, and covering no obstacle.

    Args:
        labels: The boxes, at the height of their line's end.
        obstacles: What is better left uncovered: markers and lines.
        within: No label leaves it, if there is room at all.
        gap: The distance between a line's end and its label, in pixels.

    Example:
        >>> place([Box(0, 0, 9, 4), Box(2, 1, 8, 5)], [], Box(0, -50, 50, 50), gap=3)
        [Move(left=False, up=0.0), Move(left=False, up=3.0)]
    """
    heights = [0.0]
    for rise in range(1, int(within.top - within.bottom)):
        heights += [float(rise), -float(rise)]
    moves: list[Move] = []
    placed: list[Box] = []
    for label in labels:
        width, height = label.right - label.left, label.top - label.bottom
        best = (math.inf, math.inf), label, Move(left=False, up=0.0)
        for left in (False, True):
            aside = label.moved(-width - 2 * gap if left else 0, 0)
            column = Box(aside.left, within.bottom, aside.right, within.top)
            near = [other for other in obstacles if other.overlap(column)]
            for up in heights:
                box = aside.moved(0, up)
                distance = abs(up) / height + left
                if (0, distance) < best[0]:  # Else it loses whatever it covers.
                    cost = _faults(box, placed, within), distance + _covered(box, near)
                    best = min(best, (cost, box, Move(left, up)), key=lambda found: found[0])
        placed.append(best[1])
        moves.append(best[2])
    return moves


def _faults(box: Box, placed: Sequence[Box], within: Box) -> int:
    vertically = box.bottom < within.bottom or box.top > within.top
    outside = vertically or box.left < within.left or box.right > within.right
    return outside + sum(box.overlap(other) > 0 for other in placed)


def _covered(box: Box, obstacles: Sequence[Box]) -> float:
    """To cover a twentieth of a label's own area is as bad as to move it by one height."""
    area = (box.right - box.left) * (box.top - box.bottom)
    return 20 * sum(box.overlap(other) for other in obstacles) / area


def attach(axes: Axes, text: str, end: tuple[float, float], colour: str) -> Annotation:
    """Write `text` to the right of the end of a line, `end` in data coordinates."""
    from matplotlib.patheffects import withStroke

    return axes.annotate(
        text,
        end,
        xytext=(GAP, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
        zorder=9,
        parse_math=False,
    )


def separate(axes: Axes, labels: Sequence[Annotation]) -> None:
    """Move labels made by `attach` until none covers another; see `place`."""
    figure = axes.figure
    points = 72 / figure.dpi
    # To the right there is a margin for them, outside the frame.
    frame, page = axes.get_window_extent(), figure.bbox
    boxes = [_box(label) for label in labels]
    within = Box(frame.x0, frame.y0, page.x1, frame.y1)
    moves = place(boxes, list(_obstacles(axes)), within, GAP / points)
    for label, move in zip(labels, moves, strict=True):
        label.set_horizontalalignment("right" if move.left else "left")
        label.set_position((-GAP if move.left else GAP, move.up * points))


def _box(label: Annotation) -> Box:
    extent = label.get_window_extent()
    return Box(extent.x0, extent.y0, extent.x1, extent.y1)


def _obstacles(axes: Axes) -> Iterator[Box]:
    """Small boxes along every line and on every marker that is drawn."""
    half = SPACING / 2
    for line in axes.get_lines():
        ends = line.get_transform().transform(line.get_xydata()).tolist()
        for (x0, y0), (x1, y1) in pairwise([*ends, ends[-1]]):
            parts = max(1, math.ceil(max(abs(x1 - x0), abs(y1 - y0)) / SPACING))
            for part in range(parts):
                x, y = x0 + part / parts * (x1 - x0), y0 + part / parts * (y1 - y0)
                yield Box(x - half, y - half, x + half, y + half)
