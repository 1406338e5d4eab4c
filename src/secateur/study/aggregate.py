"""Aggregates: one level of one method over its seeds, and its means with their bands.

Means are exact fractions of the counts behind them: points that tie really tie, whatever the
order of the seeds. Floats appear only in an `Estimate`, which is for reading.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from secateur.errors import UsageError
from secateur.foundation.html import table
from secateur.foundation.level import Levels, order
from secateur.foundation.level_text import level_text
from secateur.point import Epochs, Point
from secateur.study.metrics import Metric, axis

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and how sure it is.

    Attributes:
        mean: The mean.
        n: How many seeds.
        band: Half the width of the mean's 95 % confidence interval; None for one seed, which
            says nothing about another.
        unit: Of the metric; a share is written to three decimals, all else to four digits.
    """

    mean: float
    n: int
    band: float | None
    unit: str = "share"

    def __str__(self) -> str:
        """`0.912 ±0.004 (n=3)`, or `0.912 (n=1)` where there is no band."""
        size = math.floor(math.log10(abs(self.mean))) if self.mean else 0
        places = 3 if self.unit == "share" else min(max(0, 3 - size), 12)
        band = "" if self.band is None else f" ±{self.band:.{places}f}"
        return f"{self.mean:.{places}f}{band} (n={self.n})"


def estimate(values: Sequence[int | Fraction]) -> Estimate:
    """The mean of `values` with its 95 % band, `t(0.975, n - 1) * s / sqrt(n)`.

    Mean and variance are computed exactly and rounded once. Source: Student (1908), "The
    probable error of a mean".

    Raises:
        statistics.StatisticsError: `values` is empty.

    Example:
        >>> print(estimate([Fraction(89, 100), Fraction(90, 100), Fraction(91, 100)]))
        0.900 ±0.025 (n=3)
        >>> print(estimate([Fraction(9, 10)]))
        0.900 (n=1)
    """
    n, mean = len(values), statistics.mean(map(Fraction, values))
    if n == 1:
        return Estimate(float(mean), n, None)
    spread = float(statistics.variance(map(Fraction, values), mean) / n) ** 0.5
    return Estimate(float(mean), n, _student(n - 1) * spread)


def _student(freedom: int) -> float:
    from scipy.special import stdtrit  # here, so that a study of one seed never loads scipy

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


@dataclass(frozen=True)
class Replicate:
    """The points of one level of one method, one a seed.

    Attributes:
        method: The method's name.
        level: The requested level, as in `Point`.
        step: The level's place in its method's list.
        points: The measured points, in the order of their seeds.
    """

    method: str
    level: Levels
    step: int
    points: tuple[Point, ...]

    @property
    def n(self) -> int:
        """How many seeds."""
        return len(self.points)

    @property
    def level_name(self) -> str:
        """The level as text, as in `Point`."""
        return self.points[0].level_name

    @property
    def collapsed(self) -> bool:
        """Whether any of its points does no better than a guess.

        One seed that loses the net is enough: a mean over it and others speaks of no net.
        """
        return any(point.collapsed for point in self.points)

    @property
    def epochs(self) -> Epochs:
        """The budget consumed by one seed: the largest one, should the seeds differ."""
        return max((point.epochs for point in self.points), key=lambda spent: spent.cumulative)

    def _repr_html_(self) -> str:
        scores = [axis(one.name, self.points) for one in (self.points[0].val, self.points[0].test)]
        heads = ["seed", "sparsity", *(one.label for one in scores), "MACs", "epochs"]
        rows = [
            [p.seed, p.sparsity.value, p.val.value, p.test.value, p.macs, p.epochs.cumulative]
            for p in self.points
        ]
        return table(heads, rows, f"{self.method} {self.level_name}")

    def is_measured(self, metric: Metric) -> bool:
        """Whether all its seeds have been measured by a metric."""
        return all(metric.read(point) is not None for point in self.points)

    def mean(self, name: str) -> Fraction:
        """The exact mean over the seeds on the axis `name`; comparisons are made on it.

        Raises:
            UnknownNameError: No such axis.
        """
        if name not in self._means:
            value = axis(name, self.points).value
            total = sum((Fraction(value(point)) for point in self.points), Fraction())
            self._means[name] = total / self.n
        return self._means[name]

    @cached_property
    def _means(self) -> dict[str, Fraction]:
        """By axis: the frontier, each pick and the page ask for the same ones again and again."""
        return {}

    def estimate(self, name: str) -> Estimate:
        """The mean over the seeds on the axis `name`, and its band, for reading.

        Raises:
            UnknownNameError: No such axis.
        """
        metric = axis(name, self.points)
        found = estimate([metric.value(point) for point in self.points])
        return replace(found, unit=metric.unit)


def replicates(points: Iterable[Point]) -> tuple[Replicate, ...]:
    """Group the points of one study by method and step.

    Args:
        points: Points in any order. A level whose runs failed for some seeds simply has fewer.

    Returns:
        The replicates, ordered by method and step whatever the order of the points.

    Raises:
        UsageError: A seed is there twice in one level, which would narrow the band by counting
            one measurement as two; or the points of one step were asked for different levels.
    """
    groups: dict[tuple[str, int], list[Point]] = {}
    for point in points:
        groups.setdefault((point.method, point.step), []).append(point)
    for (method, step), group in groups.items():
        _check(f"{method}, step {step}", group)
    return tuple(
        Replicate(method, group[0].level, step, tuple(sorted(group, key=lambda p: p.seed)))
        for (method, step), group in sorted(groups.items())
    )


def _check(subject: str, group: Sequence[Point]) -> None:
    seeds = sorted(point.seed for point in group)
    levels = sorted({point.level for point in group}, key=order)
    if len(set(seeds)) < len(seeds):
        given, expected = f"of the seeds {', '.join(map(str, seeds))}", "each seed once"
    elif len(levels) > 1:
        given, expected = f"of the levels {', '.join(map(level_text, levels))}", "one level a step"
    else:
        return
    remedy = "Pass the points of one study."
    raise UsageError("averaging over seeds", subject, given=given, expected=expected, remedy=remedy)
