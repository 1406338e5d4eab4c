"""Sensitivity, to be looked at: a table for a terminal, flat records, a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from secateur.foundation.html import plain
from secateur.pruning.sensitivity import Sensitivity
from secateur.report.figure import Picture
from secateur.report.style import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW, COLUMN, SIDE, TOP, BELOW = 0.21, 0.62, 0.25, 0.62, 0.42
_LETTER = 0.066
_DARK = 0.55
_LONGEST = 40


def sensitivity_table(found: Sensitivity) -> Table:
    """The scores as a table: a row for each layer, a column for each sparsity.

    Example:
        >>> from secateur.point import Share, accuracy
        >>> from secateur.pruning.sensitivity import LayerCut
        >>> cut = LayerCut("fc", ("fc",), 0.5, Share(5, 10), accuracy("val", 8, 10))
        >>> found = Sensitivity("magnitude", accuracy("val", 9, 10), (cut,), 10)
        >>> sensitivity_table(found).row_count
        1
    """
    made = Table(box=SIMPLE, show_edge=False, pad_edge=False, header_style="bold")
    made.add_column("layer", overflow="fold")
    made.add_column("weights", justify="right")
    for level in found.levels:
        made.add_column(f"{level:g}", justify="right")
    for layer in found.layers:
        cuts = {cut.sparsity: cut for cut in found.of(layer)}
        first = found.of(layer)[0]
        more = f" +{len(first.together) - 1}" if len(first.together) > 1 else ""
        cells = [Text(f"{cuts[level].score.value:.4g}") for level in found.levels]
        made.add_row(Text(plain(layer) + more), Text(f"{first.zeros.total:,}"), *cells)
    return made


def sensitivity_note(found: Sensitivity) -> str:
    """What the numbers are, in a sentence."""
    return (
        f"{_words(found)[0].upper()}{_words(found)[1:]}, {found.score.value:.4g} uncut; each layer "
        f"cut alone by {plain(found.method)}, without retraining."
    )


def sensitivity_records(found: Sensitivity) -> list[dict[str, Any]]:
    """One flat record a cut: `pandas.DataFrame(sensitivity.table())`."""
    return [
        {
            "layer": cut.layer,
            "together": list(cut.together),
            "sparsity": cut.sparsity,
            "zeros": cut.zeros.part,
            "weights": cut.zeros.total,
            cut.score.name: cut.score.value,
            "loss": float(found.loss(cut)),
        }
        for cut in found.cuts
    ]


class SensitivityPicture(Picture):
    """A picture of a sensitivity: the darker a cell, the more its cut makes the score worse.

    Args:
        found: What it shows.
    """

    def __init__(self, found: Sensitivity) -> None:
        self.found = found
        self._drawn = {}

    @property
    def alternative(self) -> str:
        """The picture in a sentence, for whoever cannot see it."""
        worst = max(self.found.cuts, key=self.found.loss)
        return (
            f"{_words(self.found)} with each of {len(self.found.layers)} layers cut alone by "
            f"{self.found.method}; the worst is {worst.layer} at {worst.sparsity:g}"
        )

    def draw(self) -> Figure:
        """The figure, on a canvas of its own."""
        return _draw(self.found)


def _words(found: Sensitivity) -> str:
    score = found.score
    unit = "" if score.unit in ("", "share") else f" in {plain(score.unit)}"
    better = "higher" if score.higher else "lower"
    return f"validation {plain(score.label or score.metric)}{unit} ({better} is better)"


def _draw(found: Sensitivity) -> Figure:
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers, levels = found.layers, found.levels
    names = [name if len(name) <= _LONGEST else f"...{name[3 - _LONGEST :]}" for name in layers]
    left = SIDE + _LETTER * max(map(len, names))
    wide, high = COLUMN * len(levels), ROW * len(layers)
    width, height = left + wide + SIDE, TOP + high + BELOW
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((left / width, BELOW / height, wide / width, high / height))
    worst = max(max(float(found.loss(cut)) for cut in found.cuts), 1e-12)
    colours = colormaps["Blues"]
    for cut in found.cuts:
        lost = max(float(found.loss(cut)), 0.0) / worst
        x, y = levels.index(cut.sparsity), layers.index(cut.layer)
        axes.barh(y, 1.0, height=1.0, left=x, color=colours(lost), linewidth=0)
        ink = "white" if lost > _DARK else INK
        shown = f"{cut.score.value:.3g}"
        axes.text(x + 0.5, y, shown, ha="center", va="center", color=ink, fontsize=7)
    axes.set_xlim(0, len(levels))
    axes.set_ylim(len(layers) - 0.5, -0.5)
    axes.set_xticks([x + 0.5 for x in range(len(levels))], [f"{level:g}" for level in levels])
    axes.set_yticks(range(len(layers)), names, fontsize=7.5)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("share of the layer that is zero")
    top = (height - 0.26) / height
    figure.text(SIDE / 2 / width, top, _words(found), fontsize=9)
    note = (
        f"each layer cut alone by {found.method}, without retraining; uncut {found.score.value:.4g}"
    )
    figure.text(SIDE / 2 / width, top - 0.17 / height, note, fontsize=7)
    return figure
