"""What one figure shows: which levels, on which axes, of which methods."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from secateur.errors import UnknownNameError, UsageError
from secateur.point import Point
from secateur.report.style import Style, styles
from secateur.study.aggregate import Replicate, replicates
from secateur.study.frontier import DENSE, frontier
from secateur.study.metrics import AXES, axes_of, axis, quality_of, score_metrics

MEASURES = tuple(AXES)
"""What can stand on the horizontal axis of any study."""

WIDTH = 6.4
"""Inches: the width of a page's text."""

_WIDTHS = (3.0, 20.0)


@dataclass(frozen=True)
class Plot:
    """One figure's contents; `plot` makes it with its settings checked.

    Attributes:
        levels: All replicates of the study.
        x: The horizontal axis, one of `MEASURES`.
        y: The vertical one, one of the task's scores.
        controls: Methods drawn lighter and dashed, that claim no place on the frontier.
        methods: Those to draw; all if empty. The dense net is drawn in any case.
        title: Stands above the figure; may be empty.
        width: In inches.
    """

    levels: tuple[Replicate, ...]
    x: str
    y: str
    controls: Collection[str] = ()
    methods: tuple[str, ...] = ()
    title: str = ""
    width: float = WIDTH

    @cached_property
    def lines(self) -> dict[str, list[Replicate]]:
        """The levels of each method but the dense net, from left to right: better last."""
        found: dict[str, list[Replicate]] = {}
        for level in sorted(self.shown, key=self._place):
            if level.method != DENSE:
                found.setdefault(level.method, []).append(level)
        return dict(sorted(found.items()))

    @cached_property
    def shown(self) -> tuple[Replicate, ...]:
        """The levels that are drawn."""
        wanted = {DENSE, *self.methods}
        return tuple(one for one in self.levels if not self.methods or one.method in wanted)

    @cached_property
    def styles(self) -> dict[str, Style]:
        """A style for each method of the study: the same whichever of them are drawn."""
        names = sorted({level.method for level in self.levels} - {DENSE})
        return styles(names, self.controls)

    @cached_property
    def chooses(self) -> str:
        """The score that chooses."""
        return quality_of(self.points)

    @cached_property
    def best(self) -> tuple[Replicate, ...]:
        """The levels on the frontier of the whole study, by the score that chooses."""
        return frontier(self.levels, (self.x, self.chooses), self.controls)

    @cached_property
    def dense_ends(self) -> list[Replicate]:
        """The dense net as every method started from it, and after the most extra epochs."""
        steps = sorted((one for one in self.levels if one.method == DENSE), key=_epochs)
        return steps if len(steps) < 2 else [steps[0], steps[-1]]

    @property
    def points(self) -> Iterator[Point]:
        """The points behind what is drawn."""
        for level in self.shown:
            yield from level.points

    def position(self, level: Replicate) -> tuple[float, float]:
        """Where a level is drawn."""
        return float(level.mean(self.x)), float(level.mean(self.y))

    def band(self, level: Replicate) -> tuple[float, float]:
        """The ends of a level's 95 % band; its mean twice where one seed gives none."""
        found = level.estimate(self.y)
        return found.mean - (found.band or 0), found.mean + (found.band or 0)

    def _place(self, level: Replicate) -> tuple[float, int]:
        x = float(level.mean(self.x))
        return x if axis(self.x, level.points).higher else -x, level.step


def _epochs(level: Replicate) -> int:
    return level.epochs.cumulative


def plot(
    points: Iterable[Point],
    *,
    x: str = "sparsity",
    y: str = "",
    controls: Collection[str] = (),
    methods: Collection[str] = (),
    title: str = "",
    width: float = WIDTH,
) -> Plot:
    """Check what is asked for, and gather what a figure shows.

    Args:
        points: The points of one study.
        x: The horizontal axis, one of `MEASURES`.
        y: One of the task's scores, such as `val_accuracy`; the first on test data if empty.
        controls: Methods drawn lighter and dashed.
        methods: Those to draw; all if empty.
        title: Stands above the figure, as it is.
        width: In inches, from 3 to 20.

    Raises:
        UnknownNameError: No such axis, or no such method in the study.
        UsageError: There are no points, `x` was not measured, or the title or the width cannot be.
    """
    levels = replicates(points)
    if not levels:
        raise _refuse("the study", "empty", "at least one finished run", "Run it first.")
    there = [point for level in levels for point in level.points]
    scores = [metric.name for metric in score_metrics(there)]
    across = [name for name in axes_of(there) if name not in scores]
    if x not in across:
        raise UnknownNameError("horizontal axis", x, across)
    y = y or quality_of(there, "test")
    if y not in scores:
        raise UnknownNameError("accuracy" if "val_accuracy" in scores else "score", y, scores)
    drawn = {level.method for level in levels}
    for name in methods:
        if name not in drawn:
            raise UnknownNameError("method of this study", name, drawn)
    if not _WIDTHS[0] <= width <= _WIDTHS[1]:
        expected = f"{_WIDTHS[0]:g} to {_WIDTHS[1]:g} inches"
        raise _refuse("the width", f"{width:g}", expected, "A journal's column is 3.3 inches wide.")
    if not title.isprintable():
        expected = "one line of printable text"
        raise _refuse("the title", repr(title), expected, "Leave control characters out.")
    made = Plot(levels, x, y, controls, tuple(methods), title, width)
    for level in levels:
        made.position(level)  # raises where the axis was not measured
    return made


def _refuse(subject: str, given: str, expected: str, remedy: str) -> UsageError:
    return UsageError("drawing a figure", subject, given=given, expected=expected, remedy=remedy)
