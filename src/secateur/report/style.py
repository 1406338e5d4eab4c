"""Style: how each method looks in a figure: colour, marker, line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from secateur.errors import UsageError

# Okabe and Ito (2008): told apart with every common colour blindness. Their yellow is left out,
# too pale for a line on white, and black is the dense net's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Of another number than the colours, so that a seventh method repeats no pair.
MARKERS = ("o", "s", "^", "D", "v")
GREY, FAINT = "#8A8A8A", "#666666"
DASHES = ("--", ":", "-.")
INK = "#333333"

STYLE = {
    "svg.hashsalt": "secateur",
    # Letters as letters: journals refuse Type 3 fonts.
    "pdf.fonttype": 42,
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
    # A title is the user's own words: a dollar in it is a dollar.
    "text.parse_math": False,
    "axes.grid": True,
    "grid.color": "#EBEBEB",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Style:
    """How one method is drawn: `ink` is the colour of its name, dark enough for small type."""

    colour: str
    ink: str
    marker: str
    dash: str
    width: float
    shade: float
    layer: int


def styles(names: Sequence[str], controls: Collection[str]) -> dict[str, Style]:
    """A style for each method, by its place among the names; controls are grey and dashed.

    Example:
        >>> found = styles(["magnitude", "scratch"], controls=["scratch"])
        >>> found["magnitude"].dash, found["scratch"].dash
        ('-', '--')
    """
    found = {}
    for i, name in enumerate(name for name in names if name not in controls):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        found[name] = Style(colour, colour, marker, "-", 1.6, 0.15, 4)
    for i, name in enumerate(name for name in names if name in controls):
        marker, dash = MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)]
        found[name] = Style(GREY, FAINT, marker, dash, 1.1, 0.13, 3)
    return found


@contextmanager
def styled() -> Iterator[None]:
    """Our own settings over matplotlib's defaults, whatever the user's matplotlibrc says.

    Raises:
        UsageError: matplotlib is missing.
    """
    try:
        from matplotlib import style
    except ImportError as missing:
        raise UsageError(
            "drawing a figure",
            "matplotlib",
            given="not installed",
            expected="the extra 'report'",
            remedy="Run `pip install 'secateur[report]'`.",
        ) from missing
    with style.context(["default", STYLE]):
        yield
