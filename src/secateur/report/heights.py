"""The vertical axis of a figure: its ends, what lies too far below them, and its numbers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from secateur.report.plot import Plot
from secateur.study.aggregate import Replicate
from secateur.study.metrics import Metric, axis

_OF_A_SHARE = 0.25
_TIMES = 10


def far_below(values: Sequence[float], metric: Metric) -> list[bool]:
    """Which values lie so far below the best that all the others would look like one.

    Of a share, a quarter below it. Of any other score, ten times as far below it as the level in
    the middle: a perplexity of 500,000 beside some of 20 to 50.

    Example:
        >>> from secateur.study.metrics import own_metric
        >>> error = own_metric("error", lambda *_: 0.0)
        >>> far_below([20, 21, 25, 50, 500_000], error)
        [False, False, False, False, True]
    """
    best = (max if metric.higher else min)(values, default=0.0)
    below = [abs(value - best) for value in values]
    if metric.unit == "share":
        return [one > _OF_A_SHARE for one in below]
    apart = [one for one in below if one]
    line = _TIMES * statistics.median_low(apart) if apart else 0.0
    return [one > line for one in below]


def out_of_frame(plot: Plot) -> list[Replicate]:
    """The levels that are left out below the frame; none of a share, which ends at 0."""
    metric = axis(plot.y, plot.points)
    if metric.unit == "share":
        return []
    far = far_below([plot.position(level)[1] for level in plot.shown], metric)
    return [level for level, is_far in zip(plot.shown, far, strict=True) if is_far]


def ends(plot: Plot) -> tuple[float, float]:
    """The least and the largest number in the frame.

    They hold every mean in it and the bands, unless these would flatten the lines: a zoom into
    differences that the bands swallow would show noise as if it were a finding.
    """
    out = out_of_frame(plot)
    levels = [level for level in plot.shown if level not in out]
    ys = [plot.position(level)[1] for level in levels]
    share = axis(plot.y, plot.points).unit == "share"
    room = max(max(ys) - min(ys), 0.02 * (1 if share else max(map(abs, ys)))) or 1.0
    lows, highs = zip(*(plot.band(level) for level in levels), strict=True)
    bottom, top = max(min(lows), min(ys) - room), min(max(highs), max(ys) + room)
    bottom, top = bottom - 0.08 * room, top + 0.08 * room
    return (max(0, bottom), min(1, top)) if share else (bottom, top)


def number(value: float) -> str:
    """A number beside the axis, in few letters.

    Example:
        >>> number(52.5), number(20_000), number(1_250_000)
        ('52.5', '20k', '1.25M')
    """
    sign, size = "\N{MINUS SIGN}" if value < 0 else "", abs(value)
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit:
            return f"{sign}{size / (1e3 if name == 'k' else unit):.6g}{name}"
    return f"{sign}{size:.6g}"
