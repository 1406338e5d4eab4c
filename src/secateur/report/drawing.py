"""Draws a figure with matplotlib, on a canvas of its own: no state of pyplot's is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from secateur.report import caption
from secateur.report.heights import ends, number, out_of_frame
from secateur.report.label_placement import GAP, attach, separate
from secateur.report.plot import Plot
from secateur.report.scale import scale_of
from secateur.report.style import FAINT, INK
from secateur.study.aggregate import Replicate
from secateur.study.frontier import DENSE
from secateur.study.metrics import axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

LABEL_SIZE, NOTE_SIZE, HEADING_SIZE, TITLE_SIZE = 8.5, 7.0, 9.0, 10.5
POINT = 1 / 72
# All in inches, so that type keeps its place whatever the width.
LEFT, UNDER, NOTE_LINE, HEAD, TITLE = 0.48, 0.46, 0.14, 0.28, 0.22
TICK = 0.18
SHAPE, LEAST_HEIGHT = 0.58, 1.7


@dataclass(frozen=True)
class FigureLayout:
    """Where things are on the page, in inches.

    Attributes:
        width: Of the page.
        height: Of the page.
        bottom: Of the frame: its distance from the page's lower edge.
        left: Of the frame: its distance from the page's left edge.
        right: Of the frame: that of its right side from the same edge.
        frame: Height of the frame.
        title: The title, broken into lines; empty if there is none.
        note: The small print, likewise.
    """

    width: float
    height: float
    bottom: float
    left: float
    right: float
    frame: float
    title: str
    note: str

    @property
    def axes(self) -> tuple[float, float, float, float]:
        """The frame as matplotlib wants it: left, bottom, width, height as shares of the page."""
        across, up = self.width, self.height
        width = (self.right - self.left) / across
        return self.left / across, self.bottom / up, width, self.frame / up


def _left(plot: Plot) -> float:
    """Room for the numbers beside the vertical axis."""
    from matplotlib.ticker import MaxNLocator

    if axis(plot.y, plot.points).unit == "share":
        return LEFT
    bottom, top = ends(plot)
    seen = [one for one in MaxNLocator(9).tick_values(bottom, top) if bottom <= one <= top]
    widest = max((_text_width(number(one), LABEL_SIZE) for one in seen), default=0.0)
    return max(LEFT, widest + TICK)


def layout(plot: Plot, note: str, left: float = LEFT) -> FigureLayout:
    """Room for the longest label at the right, and for as many lines of small print as it takes."""
    names = [*plot.lines, *([DENSE] if plot.dense_ends else [])]
    widest = max(_text_width(name, LABEL_SIZE) for name in names)
    right = plot.width - min(widest + (GAP + 3) * POINT, 0.4 * plot.width)
    # On a screen letters are fitted to pixels, and get wider by up to a thirtieth.
    across = 0.96 * (plot.width - left)
    lines = _wrapped(note, across, NOTE_SIZE)
    bottom = UNDER + NOTE_LINE * (len(lines) + 0.5)
    frame = max(SHAPE * (right - left), LEAST_HEIGHT)
    title = _wrapped(plot.title, across, TITLE_SIZE, "bold") if plot.title else []
    height = bottom + frame + HEAD + TITLE * len(title)
    return FigureLayout(
        plot.width, height, bottom, left, right, frame, "\n".join(title), "\n".join(lines)
    )


def _text_width(text: str, size: float, weight: str = "normal") -> float:
    """In inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight=weight)
    width: float = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return width * POINT


def _wrapped(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _text_width(longer, size, weight) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def draw(plot: Plot) -> Figure:
    """Draw one figure; under `style.styled()`, or it looks as the user's settings say."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bottom, top = ends(plot)
    out = out_of_frame(plot)
    bands = [plot.band(level) for level in plot.shown if level not in out]
    cut = any(low < bottom or high > top for low, high in bands)
    page = layout(plot, caption.note(plot, cut, len(out)), _left(plot))
    figure = Figure(figsize=(page.width, page.height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes(page.axes)
    higher = axis(plot.y, plot.points).higher
    edge = bottom if higher else top
    labels = [_draw_method(axes, plot, method, edge) for method in plot.lines]
    across = axis(plot.x, plot.points)
    scale = scale_of(across, [plot.position(level)[0] for level in _beside_dense(plot)])
    scale.apply(axes)
    axes.set_ylim(*((bottom, top) if higher else (top, bottom)))
    if axis(plot.y, plot.points).unit != "share":
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
    labels += _draw_dense(axes, plot)
    axes.set_xlabel(scale.label)
    _write_words(figure, plot, page)
    figure.draw_without_rendering()
    separate(axes, labels)
    return figure


def _write_words(figure: Figure, plot: Plot, page: FigureLayout) -> None:
    left, up = page.left / page.width, page.bottom + page.frame
    heading, title = (up + 0.09) / page.height, (up + HEAD + 0.02) / page.height
    figure.text(left, heading, caption.heading(plot), fontsize=HEADING_SIZE)
    figure.text(left, title, page.title, fontsize=TITLE_SIZE, fontweight="bold")
    small = figure.text(left, 0.08 / page.height, page.note, fontsize=NOTE_SIZE, color=FAINT)
    small.set_linespacing(1.4)


def _draw_method(axes: Axes, plot: Plot, method: str, edge: float) -> Annotation:
    style, line, out = plot.styles[method], plot.lines[method], out_of_frame(plot)
    xs, ys = zip(*(plot.position(level) for level in line), strict=True)
    axes.plot(xs, ys, style.dash, color=style.colour, linewidth=style.width, zorder=style.layer)
    lows, highs = zip(*(plot.band(level) for level in line), strict=True)
    shade: PolyCollection | LineCollection
    if len(line) == 1:
        shade = axes.vlines(xs, lows, highs, linewidth=4)
    else:
        known = [level.n > 1 for level in line]
        shade = axes.fill_between(xs, lows, highs, where=known, linewidth=0)
    shade.set(color=style.colour, alpha=style.shade, zorder=style.layer - 2)
    for x, y, level in zip(xs, ys, line, strict=True):
        face = style.colour if level in plot.best else "white"
        marker = "x" if level.collapsed else style.marker
        axes.plot(
            x, y, marker, color=style.colour, mfc=face, mew=1.1, ms=4.6, zorder=style.layer + 2
        )
    seen = [plot.position(level) for level in line if level not in out]
    return attach(axes, method, seen[-1] if seen else (xs[-1], edge), style.ink)


def _draw_dense(axes: Axes, plot: Plot) -> list[Annotation]:
    """Lines across: the dense net is what the others are compared with, wherever they stand."""
    ends = plot.dense_ends
    for level, dash in zip(ends, ("-", (0, (6, 2))), strict=False):
        height = plot.position(level)[1]
        axes.axhline(height, color=INK, linewidth=1, linestyle=dash, zorder=2)
        axes.axhspan(*plot.band(level), color=INK, alpha=0.08, linewidth=0, zorder=1)
    edge = axes.get_xlim()[1]
    # One name for both lines: they lie close together, and the note tells them apart.
    return [attach(axes, DENSE, (edge, plot.position(one)[1]), INK) for one in ends[-1:]]


def _beside_dense(plot: Plot) -> Sequence[Replicate]:
    """What has a place on the horizontal axis; the dense net alone has to have one too."""
    return [one for one in plot.shown if one.method != DENSE] or plot.dense_ends
