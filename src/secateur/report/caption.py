"""What a figure says about itself in words: no picture is without its data, seeds and roles."""

from __future__ import annotations

from secateur.report.plot import Plot
from secateur.study.metrics import axis


def heading(plot: Plot) -> str:
    """The vertical axis and the number of images behind it."""
    images = {(p.test if plot.y == "test_accuracy" else p.val).total for p in plot.points}
    sizes = " or ".join(f"{size:,}" for size in sorted(images))
    return f"{axis(plot.y, plot.points).label} ({sizes} images)".capitalize()


def note(plot: Plot, cut: bool) -> str:
    """The small print under the figure.

    Args:
        plot: What it shows.
        cut: Whether the frame cuts a band off.
    """
    ends = [level.epochs.cumulative for level in plot.dense_ends]
    sentences = [f"{axis(plot.y, plot.points).label} {_role(plot)}.".capitalize(), _seeds(plot)]
    if cut:
        sentences.append("The frame cuts off the widest bands.")
    if len(ends) > 1:
        sentences.append(f"Black: dense after {ends[0]} epochs, dashed after {ends[1]}.")
    whose = "the whole study's frontier" if plot.methods else "the frontier"
    sentences.append(f"Filled markers: on {whose}, by validation accuracy.")
    if any(level.collapsed for level in plot.shown):
        sentences.append("Crosses: collapsed, no better than naming the most frequent class.")
    if any(method in plot.controls for method in plot.lines):
        sentences.append("Grey and dashed: controls.")
    return " ".join(sentences)


def _role(plot: Plot) -> str:
    chose = "was scored once and chose nothing"
    return chose if plot.y == "test_accuracy" else "made the choices"


def _seeds(plot: Plot) -> str:
    seeds = sorted({level.n for level in plot.shown})
    if seeds == [1]:
        return "One seed: no band."
    count = "-".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    return f"Mean and 95 % band over {count} seeds."
