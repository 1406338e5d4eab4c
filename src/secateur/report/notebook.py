"""What a notebook shows of a study: its table and its figure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from secateur.errors import UsageError
from secateur.foundation.html import paragraph, table
from secateur.point import Point
from secateur.report.figure import Picture
from secateur.report.plot import plot
from secateur.report.table import COLLAPSED_NOTE, columns_of, mark
from secateur.study.aggregate import Replicate, replicates
from secateur.study.frontier import DENSE, frontier
from secateur.study.metrics import axis

CAPTION = "* on the frontier, by {}. The {} was scored once."


def show_study(words: str, points: Sequence[Point], controls: Collection[str]) -> str:
    """A study as HTML: a line of words, every level, and the test score against sparsity as SVG.

    Args:
        words: What the study is, and how far it has come.
        points: Its points; there may be none yet.
        controls: Methods drawn lighter, that claim no place on the frontier.
    """
    parts = [paragraph(words)]
    if points:
        parts += [_levels(replicates(points), controls), _figure(points, controls)]
    return f"<div>{''.join(parts)}</div>"


def _levels(levels: Sequence[Replicate], controls: Collection[str]) -> str:
    best = frontier(levels, controls=controls)
    columns = columns_of(levels)
    points = levels[0].points
    labels = [axis(one.name, points).label for one in (points[0].val, points[0].test)]
    caption = CAPTION.format(*labels)
    ordered = sorted(
        levels, key=lambda one: (one.method != DENSE, one.method in controls, one.method, one.step)
    )
    return table(
        ["", *(column.head for column in columns)],
        [[mark(one, one in best), *(column.cell(one) for column in columns)] for one in ordered],
        f"{caption} {COLLAPSED_NOTE}" if any(one.collapsed for one in levels) else caption,
        bold=[place for place, one in enumerate(ordered) if one in best],
        faint=[
            place for place, one in enumerate(ordered) if one.method in controls or one.collapsed
        ],
    )


def _figure(points: Sequence[Point], controls: Collection[str]) -> str:
    try:
        drawn = Picture(plot(points, controls=controls)).bytes("svg").decode()
    except UsageError as error:
        return paragraph(str(error))  # without matplotlib there is still the table
    return drawn[drawn.index("<svg") :]
