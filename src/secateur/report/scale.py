"""The horizontal axis of a figure: linear or logarithmic, and better always to the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from secateur.study.metrics import AXES, Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Below this ratio of the largest to the smallest a logarithm shows nothing more.
SPREAD = 5.0
UNITS = {"seconds": "s", "bytes": "B", "count": "", "epochs": ""}


@dataclass(frozen=True)
class Scale:
    """How values on one axis are laid out.

    Attributes:
        axis: What it shows.
        log: Whether it is logarithmic.
        start: Its left end.
        end: Its right end, where the better values are.
    """

    axis: Metric
    log: bool
    start: float
    end: float

    @property
    def label(self) -> str:
        """What stands under the axis."""
        text = self.axis.label.removesuffix(", s")
        if self.axis.counts_zeros:
            return f"{text} (share of zeros)"
        how = ["log scale"] * self.log + ["less is to the right"] * (self.start > self.end)
        return f"{text} ({', '.join(how)})" if how else text

    def apply(self, axes: Axes) -> None:
        """Lay the horizontal axis of `axes` out."""
        from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

        if self.log:
            axes.set_xscale("log")
            narrow = max(self.start, self.end) < 100 * min(self.start, self.end)
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(self.start, self.end)
        if self.axis.unit != "share":
            unit = UNITS.get(self.axis.unit, self.axis.unit)
            axes.xaxis.set_major_formatter(EngFormatter(unit, sep="\N{THIN SPACE}" if unit else ""))


def scale_of(name: str | Metric, values: Sequence[float]) -> Scale:
    """The scale for `values` on an axis, with a little room at both ends.

    Args:
        name: The axis, or its name where every study has it.
        values: What is to be seen.

    Where less is better the axis runs from more to less, so that better is to the right in every
    figure; it is logarithmic where the values differ by a factor of five or more.

    Example:
        >>> scale_of("macs", [1e6, 2e7]).log, scale_of("macs", [1e6, 2e6]).log
        (True, False)
        >>> found = scale_of("macs", [1e6, 2e7])
        >>> found.start > 2e7, found.end < 1e6
        (True, True)
    """
    low, high = min(values), max(values)
    axis = AXES[name] if isinstance(name, str) else name
    higher = axis.higher
    log = not higher and low > 0 and high >= SPREAD * low
    if log:
        low, high = math.log(low), math.log(high)
    # One level alone, or values that hardly differ, are not drawn far apart.
    wide = max(high - low, 0.02 * max(1.0, high) if higher or log else 0.05 * abs(high)) or 1.0
    least = 0.0 if log or low >= 0 else -math.inf
    before, after = (0.08, 0.03) if higher else (0.03, 0.08)
    low, high = low - before * wide, high + after * wide
    if log:
        low, high = math.exp(low), math.exp(high)
    low = max(low, least)
    return Scale(axis, log, *((low, high) if higher else (high, low)))
