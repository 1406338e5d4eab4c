"""The study's two figures: accuracy against overall sparsity, and against that of the convs."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from secateur.errors import StoreError, UnknownNameError, UsageError
from secateur.point import Point
from secateur.report.labels import attach, separate
from secateur.study.frontier import DENSE, frontier
from secateur.study.replicate import AXES, Replicate, replicates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

# Okabe and Ito (2008): told apart with every common colour blindness. Their yellow is left out,
# too pale for a line on white, and black is the dense net's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Of another number than the colours, so that a seventh method repeats no pair.
MARKERS = ("o", "s", "^", "D", "v")
GREY, FAINT = "#8A8A8A", "#666666"
DASHES = ("--", ":", "-.")
INK = "#333333"
ACCURACIES = ("test_accuracy", "val_accuracy")

STYLE = {
    "svg.hashsalt": "secateur",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.grid": True,
    "grid.color": "#EBEBEB",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
}
SIZE = (6.4, 4.0)  # Inches: the width of a page's text.
FRAME = (0.075, 0.20, 0.79, 0.73)
DPI = 200


@dataclass(frozen=True)
class Look:
    """How one method is drawn: `ink` is the colour of its name, dark enough for small type."""

    colour: str
    ink: str
    marker: str
    dash: str
    width: float
    shade: float
    layer: int


@dataclass(frozen=True)
class Plot:
    """One figure's contents.

    Attributes:
        levels: All replicates of the study.
        x: The horizontal axis, a name from `AXES`.
        y: The vertical one.
        controls: Methods drawn lighter and dashed.
    """

    levels: Sequence[Replicate]
    x: str
    y: str
    controls: Collection[str]

    def lines(self) -> dict[str, list[Replicate]]:
        """The levels of each method but the dense net, from left to right."""
        found: dict[str, list[Replicate]] = {}
        for level in sorted(self.levels, key=lambda level: level.mean(self.x)):
            if level.method != DENSE:
                found.setdefault(level.method, []).append(level)
        return dict(sorted(found.items()))

    def looks(self) -> dict[str, Look]:
        """A look for each of `lines()`; the order of the names decides, not that of the runs."""
        names = list(self.lines())
        methods = [name for name in names if name not in self.controls]
        looks = {}
        for i, name in enumerate(methods):
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            looks[name] = Look(colour, colour, marker, "-", 1.6, 0.15, 4)
        for i, name in enumerate(name for name in names if name in self.controls):
            marker, dash = MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)]
            looks[name] = Look(GREY, FAINT, marker, dash, 1.1, 0.13, 3)
        return looks


def figures(
    points: Iterable[Point],
    folder: Path,
    *,
    y: str = "test_accuracy",
    controls: Collection[str] = (),
) -> list[Path]:
    """Draw both figures, each as PNG and SVG, and write them into `folder`.

    A line joins the means of a method's levels and its shading is their 95 % band over seeds;
    one seed has none. Filled markers are on the frontier of the figure's own horizontal axis and
    *validation* accuracy, whichever accuracy is drawn. The same points give the same bytes with
    the same matplotlib.

    Args:
        points: The points of one study.
        folder: Where to write; made if missing. A file is replaced whole or not at all.
        y: `test_accuracy` or `val_accuracy`; the figure says which.
        controls: Methods drawn lighter and dashed, that claim no place on the frontier.

    Returns:
        The four paths.

    Raises:
        UsageError: matplotlib is missing, or there are no points.
        UnknownNameError: `y` is neither accuracy.
        StoreError: The folder cannot be written.
    """
    levels = replicates(points)
    if y not in ACCURACIES:
        raise UnknownNameError("accuracy", y, ACCURACIES)
    if not levels:
        raise UsageError(
            "drawing the figures",
            "the study",
            given="empty",
            expected="at least one finished run",
            remedy="Run it first.",
        )
    written = []
    for x in ("sparsity", "conv_sparsity"):
        for kind, image in _images(Plot(levels, x, y, controls)):
            written.append(_write(folder / f"{y}-{x}.{kind}".replace("_", "-"), image))
    return written


def _images(plot: Plot) -> Iterator[tuple[str, bytes]]:
    with _style():
        figure = draw(plot)
        # Neither a date nor a version: the same points are the same bytes.
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            image = io.BytesIO()
            figure.savefig(image, format=kind, dpi=DPI, metadata=metadata)
            yield kind, image.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Our own settings over matplotlib's defaults, whatever the user's matplotlibrc says."""
    try:
        from matplotlib import style
    except ImportError as missing:
        raise UsageError(
            "drawing the figures",
            "matplotlib",
            given="not installed",
            expected="the extra 'report'",
            remedy="Run `pip install secateur[report]`.",
        ) from missing
    with style.context(["default", STYLE]):
        yield


def draw(plot: Plot) -> Figure:
    """Draw one figure, on a canvas of its own: no state of pyplot's is read or changed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(FRAME)
    best = frontier(plot.levels, (plot.x, "val_accuracy"), plot.controls)
    looks = plot.looks()
    labels = []
    for method, line in plot.lines().items():
        _draw_line(axes, plot, line, looks[method], best)
        labels.append(attach(axes, method, _position(plot, line[-1]), looks[method].ink))
    _frame(axes, plot)
    labels += _draw_dense(axes, plot)
    _describe(figure, axes, plot)
    figure.draw_without_rendering()
    separate(axes, labels)
    return figure


def _position(plot: Plot, level: Replicate) -> tuple[float, float]:
    return float(level.mean(plot.x)), float(level.mean(plot.y))


def _draw_line(
    axes: Axes, plot: Plot, line: Sequence[Replicate], look: Look, best: Collection[Replicate]
) -> None:
    xs, ys = zip(*(_position(plot, level) for level in line), strict=True)
    axes.plot(xs, ys, look.dash, color=look.colour, linewidth=look.width, zorder=look.layer)
    lows, highs = zip(*(_band(plot, level) for level in line), strict=True)
    shade: PolyCollection | LineCollection
    if len(line) == 1:
        shade = axes.vlines(xs, lows, highs, linewidth=4)
    else:
        known = [level.n > 1 for level in line]
        shade = axes.fill_between(xs, lows, highs, where=known, linewidth=0)
    shade.set(color=look.colour, alpha=look.shade, zorder=look.layer - 2)
    for x, y, level in zip(xs, ys, line, strict=True):
        face = look.colour if level in best else "white"
        axes.plot(
            x, y, look.marker, color=look.colour, mfc=face, mew=1.1, ms=4.6, zorder=look.layer + 2
        )


def _band(plot: Plot, level: Replicate) -> tuple[float, float]:
    found = level.estimate(plot.y)
    return found.mean - (found.band or 0), found.mean + (found.band or 0)


def _draw_dense(axes: Axes, plot: Plot) -> list[Annotation]:
    """The dense net as every method started from it, and after the most extra epochs."""
    ends = _dense_ends(plot)
    for level, dash in zip(ends, ("-", (0, (6, 2))), strict=False):
        axes.axhline(_position(plot, level)[1], color=INK, linewidth=1, linestyle=dash, zorder=2)
        axes.axhspan(*_band(plot, level), color=INK, alpha=0.08, linewidth=0, zorder=1)
    edge = axes.get_xlim()[1]
    # One name for both lines: they lie close together, and the note tells them apart.
    return [attach(axes, DENSE, (edge, _position(plot, one)[1]), INK) for one in ends[-1:]]


def _dense_ends(plot: Plot) -> list[Replicate]:
    steps = sorted((level for level in plot.levels if level.method == DENSE), key=_epochs)
    return steps if len(steps) < 2 else [steps[0], steps[-1]]


def _epochs(level: Replicate) -> int:
    return level.epochs.cumulative


def _frame(axes: Axes, plot: Plot) -> None:
    """Limits that hold every mean and the bands, unless these would flatten the lines.

    A zoom into differences that the bands swallow would show noise as if it were a finding.
    """
    ys = [_position(plot, level)[1] for level in plot.levels]
    # The dense net is a horizontal line and needs no room at sparsity 0.
    xs = [_position(plot, level)[0] for level in plot.levels if level.method != DENSE] or [0.0]
    wide = max(max(xs) - min(xs), 0.02)
    axes.set_xlim(max(0, min(xs) - 0.08 * wide), max(xs) + 0.03 * wide)
    room = max(max(ys) - min(ys), 0.02)
    lows, highs = zip(*(_band(plot, level) for level in plot.levels), strict=True)
    bottom, top = max(min(lows), min(ys) - room), min(max(highs), max(ys) + room)
    axes.set_ylim(max(0, bottom - 0.08 * room), min(1, top + 0.08 * room))


def _describe(figure: Figure, axes: Axes, plot: Plot) -> None:
    seeds = sorted({level.n for level in plot.levels})
    count = "-".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    images = {(p.test if plot.y == "test_accuracy" else p.val).total for p in _points(plot)}
    sizes = " or ".join(f"{size:,}" for size in sorted(images))
    role = "was scored once and chose nothing" if plot.y == "test_accuracy" else "made the choices"
    over = "One seed: no band." if seeds == [1] else f"Mean and 95 % band over {count} seeds."
    axes.set_xlabel(f"{AXES[plot.x].label} (share of zeros)")
    axes.set_title(f"{AXES[plot.y].label} ({sizes} images)".capitalize(), loc="left", fontsize=9)
    note = f"{AXES[plot.y].label} {role}. ".capitalize() + over
    bottom, top = axes.get_ylim()
    if any(low < bottom or high > top for low, high in (_band(plot, one) for one in plot.levels)):
        note += " The frame cuts off the widest bands."
    ends = [_epochs(level) for level in _dense_ends(plot)]
    if len(ends) > 1:
        note += f" Black: dense after {ends[0]} epochs, dashed after {ends[1]}."
    note += "\nFilled markers: on the frontier, by validation accuracy. Grey and dashed: controls."
    figure.text(FRAME[0], 0.02, note, fontsize=7, color=FAINT, linespacing=1.4)


def _points(plot: Plot) -> Iterator[Point]:
    for level in plot.levels:
        yield from level.points


def _write(path: Path, content: bytes) -> Path:
    """Write a whole file or none: a reader never sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise StoreError(
            "writing a figure",
            str(path),
            given=f"refused ({error.strerror})",
            expected="a folder with room to write into",
            remedy="Choose another folder, or free some space.",
        ) from error
    return path
