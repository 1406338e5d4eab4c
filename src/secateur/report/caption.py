"""What a figure says about itself in words: no picture is without its data, seeds and roles."""

from __future__ import annotations

from collections.abc import Sequence

from secateur.point import Score
from secateur.report.budget import budget_words
from secateur.report.plot import Plot
from secateur.study.metrics import axis


def heading(plot: Plot) -> str:
    """The vertical axis: of a share the number of examples behind it, else unit and direction."""
    metric = axis(plot.y, plot.points)
    scores = [one for point in plot.points for one in point.every_score if one.name == plot.y]
    sizes = sorted({one.total for one in scores if one.total})
    known = [f"{' or '.join(f'{size:,}' for size in sizes)} {_examples(scores)}"] if sizes else []
    known += [metric.unit] if metric.unit not in ("", "share") else []
    known += [] if metric.higher else ["less is better, and up"]
    more = f" ({', '.join(known)})" if known else ""
    return f"{metric.label[:1].upper()}{metric.label[1:]}{more}"


def _examples(scores: Sequence[Score]) -> str:
    """What a share is of."""
    return "examples" if {one.metric for one in scores} == {"accuracy"} else "answers"


def note(plot: Plot, cut: bool, below: int = 0) -> str:
    """The small print under the figure.

    Args:
        plot: What it shows.
        cut: Whether the frame cuts a band off.
        below: How many levels lie below the frame.
    """
    ends = [level.epochs.cumulative for level in plot.dense_ends]
    label, chooses = axis(plot.y, plot.points).label, axis(plot.chooses, plot.points).label
    sentences = [f"{label[:1].upper()}{label[1:]} {_role(plot)}.", _seeds(plot)]
    if cut:
        sentences.append("The frame cuts off the widest bands.")
    if below:
        sentences.append(f"Far below the frame: {below} level{'s' * (below > 1)}.")
    if len(ends) > 1:
        sentences.append(f"Black: dense after {ends[0]} epochs, dashed after {ends[1]}.")
    sentences.append(budget_words(plot.points))
    whose = "the whole study's frontier" if plot.methods else "the frontier"
    sentences.append(f"Filled markers: on {whose}, by {chooses}.")
    if any(level.collapsed for level in plot.shown):
        sentences.append("Crosses: collapsed, no better than an answer that ignores its input.")
    if any(method in plot.controls for method in plot.lines):
        sentences.append("Grey and dashed: controls.")
    return " ".join(sentences)


def _role(plot: Plot) -> str:
    if not axis(plot.y, plot.points).chooses:
        return "was scored once and chose nothing"
    return "made the choices" if plot.y == plot.chooses else "was measured beside what chose"


def _seeds(plot: Plot) -> str:
    seeds = sorted({level.n for level in plot.shown})
    if seeds == [1]:
        return "One seed: no band."
    count = "-".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    return f"Mean and 95 % band over {count} seeds."
