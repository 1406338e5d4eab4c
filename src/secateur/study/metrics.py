"""Metrics: everything that is measured of a point, each in one row.

A row says what a metric is called, its unit, which direction is better, its label, and how it is
read from a point. Records, JSON, CSV, the printed table, the page, the trackers and the axes of
figures come from these rows. The rows of the task's scores (`val_accuracy`, `test_rmse`) come from
the points themselves. A metric of one's own is a `Metric` with a `measure`, named in a study
file (`metrics = ["mypkg:METRIC"]`); each point then carries its value and its row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter
from typing import Any, Literal

from secateur.errors import UnknownNameError, UsageError
from secateur.point import Measured, Point, Score, Share, accuracy

GO_ON = "Give the sweep's command again to go on with it."
_SPLITS = {
    "val": "validation {}",
    "test": "test {}",
    "before": "validation {} before retraining",
}

Number = int | float | Fraction
Unit = Literal["share", "count", "bytes", "seconds", "epochs", ""] | str


@dataclass(frozen=True)
class Metric:
    """One thing that is measured of every point.

    Attributes:
        name: As an axis, and as a column of the records.
        label: What it is, for a figure's axis or a table's head.
        unit: `share`, `count`, `bytes`, `seconds`, `epochs`, or a unit's own sign.
        higher: Whether more of it is better.
        read: Reads it from a point, exactly; None where it was not measured.
        column: Its column in the records, where that is another name.
        parts: Of a share: the columns of its two integers.
        is_axis: Whether levels can be compared by it.
        chooses: Whether it may choose among levels: what is scored on test data may not.
        missing: What makes it known, where it was not measured.
        measure: Of a metric of one's own: measures a net on a split, `measure(model, data, split)`.
    """

    name: str
    label: str
    unit: Unit
    higher: bool
    read: Callable[[Point], Number | None]
    column: str = ""
    parts: tuple[str, str] = ("", "")
    is_axis: bool = True
    chooses: bool = True
    missing: str = GO_ON
    measure: Callable[[Any, Any, Any], float] | None = None

    @property
    def counts_zeros(self) -> bool:
        """Whether it is a share of zeros."""
        return self.parts[0].endswith("_zeros")

    def value(self, point: Point) -> int | Fraction:
        """The exact value at a point.

        Raises:
            UsageError: It was not measured.
        """
        found = self.read(point)
        if found is None:
            raise UsageError(
                "reading an axis",
                f"the {self.label} of {point.method}",
                given="not measured",
                expected="a study in which it was",
                remedy=self.missing,
            )
        return found if isinstance(found, int) else Fraction(found)


def own_metric(
    name: str,
    measure: Callable[[Any, Any, Any], float],
    *,
    label: str = "",
    unit: str = "",
    higher: bool = False,
) -> Metric:
    """A metric of one's own, for the `metrics` of a study.

    Args:
        name: A word that no other metric has.
        measure: `measure(model, data, split)`: a finite number, of the net in evaluation mode on
            the data's device, for `data.val`.
        label: For axes and heads; the name if empty.
        unit: Its sign, as in `mJ`.
        higher: Whether more of it is better.

    Example:
        >>> metric = own_metric("depth", lambda model, data, split: 4.0, unit="layers")
        >>> metric.label, metric.higher
        ('depth', False)
    """
    return Metric(name, label or name, unit, higher, _from_measured(name), measure=measure)


def measured(metric: Metric, value: float) -> Measured:
    """What a point keeps of a metric of one's own: its value and its row."""
    return Measured(metric.name, metric.label, metric.unit, metric.higher, value)


def _from_measured(name: str) -> Callable[[Point], Number | None]:
    return lambda point: next((one.value for one in point.metrics if one.name == name), None)


def _of_zeros(name: str, label: str) -> Metric:
    share: Callable[[Point], Share] = attrgetter(name)

    def read(point: Point) -> Fraction:
        found = share(point)
        return Fraction(found.part, found.total) if found.total else Fraction(0)

    return Metric(name, label, "share", True, read, parts=(f"{name}_zeros", f"{name}_total"))


def _of_score(score: Score, first: bool) -> Metric:
    """The row of a task's score: of a share, its integers are columns, too."""
    label = _SPLITS[score.split].format(score.label or score.metric)

    def read(point: Point) -> Fraction | None:
        return next((one.exact for one in point.every_score if one.name == score.name), None)

    return Metric(
        score.name,
        label,
        score.unit,
        score.higher,
        read,
        parts=_columns(score, first),
        chooses=score.split != "test",
        missing="It is recorded by every sweep of a new run folder."
        if score.split == "before"
        else GO_ON,
    )


def _columns(score: Score, first: bool) -> tuple[str, str]:
    if score.share is None:
        return "", ""
    before = score.split if first else score.name
    return f"{before}_correct", f"{before}_total"


def _of_count(name: str, label: str, *, is_axis: bool = True) -> Metric:
    return Metric(name, label, "count", False, attrgetter(name), is_axis=is_axis)


def _of_epochs(name: str, label: str) -> Metric:
    read = attrgetter(f"epochs.{name}")
    return Metric(f"{name}_epochs", label, "epochs", False, read, is_axis=False)


def _of_latency(name: str, batch: int) -> Metric:
    def read(point: Point) -> Fraction | None:
        found = point.latency_at(batch)
        return None if found is None else Fraction(found.median)

    return Metric(name, f"latency at batch {batch}, s", "seconds", False, read)


TIMES: Mapping[str, int] = {"latency": 1, "latency_64": 64}
"""The axes of measured time, and the size of the batch that was timed."""

TABLE: tuple[Metric, ...] = (
    _of_zeros("sparsity", "overall sparsity"),
    _of_zeros("conv_sparsity", "sparsity of the convs"),
    _of_zeros("model_sparsity", "zero parameters"),
    _of_count("parameters", "parameters before removal", is_axis=False),
    _of_count("nonzero", "non-zero parameters"),
    _of_count("compact_parameters", "compact parameters"),
    _of_count("masked_macs", "MACs before removal"),
    _of_count("nonzero_macs", "non-zero MACs"),
    _of_count("macs", "MACs"),
    Metric(
        "bytes",
        "bytes on disk",
        "bytes",
        False,
        attrgetter("artifact_bytes"),
        column="artifact_bytes",
        missing="`secateur export` writes the file; or run the sweep in a new folder.",
    ),
    _of_epochs("base", "epochs of the dense net"),
    _of_epochs("sparsity", "epochs of preparations"),
    _of_epochs("retrain", "epochs of retraining"),
    _of_epochs("statistics", "passes that gathered statistics"),
    _of_epochs("teacher", "passes of a teacher, as epochs"),
    Metric(
        "epochs",
        "training epochs",
        "epochs",
        False,
        attrgetter("epochs.cumulative"),
        column="cumulative_epochs",
    ),
    # A unit of its own: what is counted in `seconds` is written in milliseconds.
    Metric("training_seconds", "training time", "s", False, attrgetter("training_seconds")),
    *(_of_latency(name, batch) for name, batch in TIMES.items()),
)
"""What is counted and timed in every study, in the order of its columns."""

AXES: Mapping[str, Metric] = {one.name: one for one in TABLE if one.is_axis}
"""What levels of any study can be compared by, beside its task's scores."""


def score_metrics(points: Iterable[Point]) -> tuple[Metric, ...]:
    """The rows of the task's scores: of each split the first, then the others.

    Those before any retraining come last.

    Before there is a point, they are those of a classification.
    """
    found: dict[str, Metric] = {}
    for point in points:
        firsts = {point.val.name, point.test.name}
        for one in sorted(point.every_score, key=lambda score: score.name not in firsts):
            found.setdefault(one.name, _of_score(one, one.name in firsts))
    if not found:
        return tuple(
            _of_score(one, True) for one in (accuracy("val", 0, 1), accuracy("test", 0, 1))
        )
    return tuple(found.values())


def quality_of(points: Iterable[Point], split: Literal["val", "test"] = "val") -> str:
    """The name of the score that chooses, or of the one beside it on the test split.

    Of no points it is the accuracy.
    """
    for point in points:
        return (point.val if split == "val" else point.test).name
    return f"{split}_accuracy"


def own_metrics(points: Iterable[Point]) -> tuple[Metric, ...]:
    """The rows of the metrics that the points carry beside the task's."""
    found: dict[str, Metric] = {}
    taken = {one.name for one in TABLE}
    for point in points:
        for one in point.metrics:
            if one.name not in taken and one.name not in found:
                read = _from_measured(one.name)
                found[one.name] = Metric(one.name, one.label, one.unit, one.higher, read)
    return tuple(found.values())


def metrics_of(points: Iterable[Point]) -> tuple[Metric, ...]:
    """The rows of a study: the task's, those of every study, and the points' own."""
    there = tuple(points)
    return (*score_metrics(there), *TABLE, *own_metrics(there))


def axes_of(points: Iterable[Point]) -> dict[str, Metric]:
    """What the levels of these points can be compared by, by name."""
    return {one.name: one for one in metrics_of(points) if one.is_axis}


def axis(name: str, points: Iterable[Point] = ()) -> Metric:
    """The axis called `name`.

    Args:
        name: Its name.
        points: Of the study: its scores and the metrics of its own come from them.

    Raises:
        UnknownNameError: There is none.
    """
    if name in AXES:
        return AXES[name]
    there = tuple(points)
    for point in there:  # without the rows of all scores: every comparison asks for one
        for score in point.every_score:
            if score.name == name:
                return _of_score(score, name in (point.val.name, point.test.name))
    known = axes_of(there)
    if name not in known:
        raise UnknownNameError("axis", name, known)
    return known[name]
