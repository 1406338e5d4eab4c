"""Replicates: one level of one method over its seeds, and the axes on which it is measured.

Means are exact fractions of the counts behind them: points that tie really tie, whatever the
order of the seeds. Floats appear only in an `Estimate`, which is for reading.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from secateur.errors import UnknownNameError, UsageError
from secateur.foundation.html import table
from secateur.point import Epochs, Point, Share

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Axis:
    """Something that every point measures.

    Attributes:
        value: Reads it from a point.
        higher: Whether more of it is better.
        label: What it is, for a figure's axis or a table's head.
    """

    value: Callable[[Point], int | Fraction]
    higher: bool
    label: str


def _share(share: Share) -> Fraction:
    return Fraction(share.part, share.total) if share.total else Fraction(0)


def _seconds(point: Point, batch: int) -> Fraction:
    measured = point.latency_at(batch)
    if measured is None:
        raise _unmeasured(
            f"the latency of {point.method} at batch {batch}",
            expected="a study that ran to its end, where its nets are timed",
            remedy="Give the sweep's command again to go on with it.",
        )
    return Fraction(measured.median)


def _bytes(point: Point) -> int:
    if point.artifact_bytes is None:
        raise _unmeasured(
            f"the bytes on disk of {point.method}",
            expected="a study of a secateur that records them",
            remedy="`secateur export` writes the file; or run the sweep in a new folder.",
        )
    return point.artifact_bytes


def _unmeasured(subject: str, expected: str, remedy: str) -> UsageError:
    given = "not measured"
    return UsageError("reading an axis", subject, given=given, expected=expected, remedy=remedy)


AXES: Mapping[str, Axis] = MappingProxyType(
    {
        "val_accuracy": Axis(lambda p: _share(p.val), True, "validation accuracy"),
        "test_accuracy": Axis(lambda p: _share(p.test), True, "test accuracy"),
        "sparsity": Axis(lambda p: _share(p.sparsity), True, "overall sparsity"),
        "conv_sparsity": Axis(lambda p: _share(p.conv_sparsity), True, "sparsity of the convs"),
        "model_sparsity": Axis(lambda p: _share(p.model_sparsity), True, "zero parameters"),
        "nonzero": Axis(lambda p: p.nonzero, False, "non-zero parameters"),
        "compact_parameters": Axis(lambda p: p.compact_parameters, False, "compact parameters"),
        "masked_macs": Axis(lambda p: p.masked_macs, False, "MACs before removal"),
        "nonzero_macs": Axis(lambda p: p.nonzero_macs, False, "non-zero MACs"),
        "macs": Axis(lambda p: p.macs, False, "MACs"),
        "bytes": Axis(_bytes, False, "bytes on disk"),
        "epochs": Axis(lambda p: p.epochs.cumulative, False, "training epochs"),
        "latency": Axis(lambda p: _seconds(p, 1), False, "latency at batch 1, s"),
        "latency_64": Axis(lambda p: _seconds(p, 64), False, "latency at batch 64, s"),
    }
)


def axis(name: str) -> Axis:
    """The axis called `name`.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in AXES:
        raise UnknownNameError("axis", name, AXES)
    return AXES[name]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and how sure it is.

    Attributes:
        mean: The mean.
        n: How many seeds.
        band: Half the width of the mean's 95 % confidence interval; None for one seed, which
            says nothing about another.
    """

    mean: float
    n: int
    band: float | None

    def __str__(self) -> str:
        """`0.912 ±0.004 (n=3)`, or `0.912 (n=1)` where there is no band."""
        band = "" if self.band is None else f" ±{self.band:.3f}"
        return f"{self.mean:.3f}{band} (n={self.n})"


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
    level: tuple[float, ...]
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
        heads = ["seed", "sparsity", "validation accuracy", "test accuracy", "MACs", "epochs"]
        rows = [
            [p.seed, p.sparsity.value, p.val.value, p.test.value, p.macs, p.epochs.cumulative]
            for p in self.points
        ]
        return table(heads, rows, f"{self.method} {self.level_name}")

    def mean(self, name: str) -> Fraction:
        """The exact mean over the seeds on the axis `name`; comparisons are made on it.

        Raises:
            UnknownNameError: No such axis.
        """
        value = axis(name).value
        return statistics.mean(Fraction(value(point)) for point in self.points)

    def estimate(self, name: str) -> Estimate:
        """The mean over the seeds on the axis `name`, and its band, for reading.

        Raises:
            UnknownNameError: No such axis.
        """
        value = axis(name).value
        return estimate([value(point) for point in self.points])


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
    levels = sorted({point.level for point in group})
    if len(set(seeds)) < len(seeds):
        given, expected = f"of the seeds {', '.join(map(str, seeds))}", "each seed once"
    elif len(levels) > 1:
        given, expected = f"of the levels {', '.join(map(str, levels))}", "one level a step"
    else:
        return
    remedy = "Pass the points of one study."
    raise UsageError("averaging over seeds", subject, given=given, expected=expected, remedy=remedy)
