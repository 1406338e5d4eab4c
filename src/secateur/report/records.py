"""The points as flat records, one a point, for a spreadsheet or a data frame."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from secateur.point import Latency, Point, Score, Share
from secateur.study.aggregate import replicates
from secateur.study.frontier import frontier
from secateur.study.metrics import AXES, Metric, metrics_of

Value = str | int | float | bool | None
Record = dict[str, Value]

_BATCHES = {1, 64}


@dataclass(frozen=True)
class Field:
    """One column.

    Attributes:
        name: Its name.
        kind: The type of its values; any of them may be None where nothing was measured.
        read: Reads it from a point.
    """

    name: str
    kind: type[str] | type[int] | type[float] | type[bool]
    read: Callable[[Point], Value]


def fields(points: Iterable[Point], controls: Collection[str] = ()) -> tuple[Field, ...]:
    """The columns for the points of one study, the same whatever has been measured yet.

    Args:
        points: All points of the study: the frontier is among them.
        controls: Methods that claim no place on the frontier.
    """
    there = tuple(points)
    best = {(one.method, one.step) for one in frontier(replicates(there), controls=controls)}
    batches = sorted(_BATCHES | {each.batch for point in there for each in point.latency})
    # Latencies come below, with their spread and engine.
    timed = {name for name, metric in AXES.items() if metric.unit == "seconds"}
    rows = [metric for metric in metrics_of(there) if metric.name not in timed]
    machine = dict.fromkeys(name for point in there for name in point.environment)
    measured = [each for metric in rows for each in _metric_fields(metric)]
    first = [
        Field("method", str, attrgetter("method")),
        Field("level", str, attrgetter("level_name")),
        Field("step", int, attrgetter("step")),
        Field("seed", int, attrgetter("seed")),
        Field("digest", str, attrgetter("digest")),
        Field("control", bool, lambda point: point.method in controls),
        Field("on_frontier", bool, lambda point: (point.method, point.step) in best),
        Field("collapsed", bool, attrgetter("collapsed")),
    ]
    last = [
        _guess(there),
        *_target_fields(there),
        *(each for batch in batches for each in _latency_fields(batch)),
        Field("seconds", float, attrgetter("seconds")),
        Field("floored", str, lambda point: " ".join(point.floored)),
        Field("checkpoint", str, attrgetter("checkpoint")),
        *(Field(f"environment_{name}", str, _environment(name)) for name in machine),
    ]
    taken = {column.name for column in (*first, *last)}
    return (*first, *(one for one in measured if one.name not in taken), *last)


def _guess(points: Collection[Point]) -> Field:
    """What an answer that ignores its input scores: right answers of a share, else the score."""
    if any(point.val.share is None for point in points):
        return Field("val_baseline", float, attrgetter("baseline"))
    return Field("val_majority", int, attrgetter("majority"))


def _target_fields(points: Iterable[Point]) -> Iterator[Field]:
    """Of a study whose levels are targets: what was asked for, and what was reached."""
    if any(point.reached for point in points):
        yield Field("target_limit", float, _of_reached("limit"))
        yield Field("target_cost", float, _of_reached("cost"))
        yield Field("target_dense", float, _of_reached("dense"))


def _of_reached(name: str) -> Callable[[Point], Value]:
    return lambda point: None if point.reached is None else float(getattr(point.reached, name))


def _metric_fields(metric: Metric) -> Iterator[Field]:
    name, (part, total) = metric.column or metric.name, metric.parts
    if not part:
        whole = metric.unit in ("count", "bytes", "epochs")
        yield Field(name, int if whole else float, _plain(metric, int if whole else float))
        return
    yield Field(name, float, _plain(metric, float))
    yield Field(part, int, lambda point: _share(metric, point, "part"))
    yield Field(total, int, lambda point: _share(metric, point, "total"))


def _share(metric: Metric, point: Point, which: str) -> int | None:
    """One of the two integers of a share: of a score, or of a field of the point."""
    score = next((one for one in point.every_score if one.name == metric.name), None)
    held: Score | Share | None = score or getattr(point, metric.name, None)
    return None if held is None else getattr(held, which)


def _plain(metric: Metric, kind: type[int] | type[float]) -> Callable[[Point], Value]:
    def value(point: Point) -> Value:
        found = metric.read(point)
        return None if found is None else kind(found)

    return value


def _latency_fields(batch: int) -> Iterator[Field]:
    kinds = {"median": float, "q1": float, "q3": float, "n": int, "threads": int, "engine": str}
    for name, kind in kinds.items():
        yield Field(f"latency_{batch}_{name}", kind, _latency(batch, attrgetter(name)))


def _latency(batch: int, read: Callable[[Latency], Value]) -> Callable[[Point], Value]:
    def value(point: Point) -> Value:
        measured = point.latency_at(batch)
        return None if measured is None else read(measured)

    return value


def _environment(name: str) -> Callable[[Point], Value]:
    return lambda point: point.environment.get(name)


def records(points: Iterable[Point], controls: Collection[str] = ()) -> list[Record]:
    """One flat record a point: every share with its integers, times in seconds.

    `val_` columns are of the validation split, `test_` ones of the test split; `on_frontier` says
    whether the point's level is on the frontier of overall sparsity and the score that chooses.

    Args:
        points: The points of one study, in the order wanted.
        controls: Methods that claim no place on the frontier.
    """
    there = tuple(points)
    columns = fields(there, controls)
    return [{column.name: column.read(point) for column in columns} for point in there]


def metrics(record: Record) -> dict[str, int | float]:
    """The numbers of a record that were measured: what a tracker of experiments shows.

    Example:
        >>> metrics({"method": "magnitude", "seed": 3, "macs": 512, "latency_1_n": None})
        {'macs': 512}
    """
    names = {"step", "seed"}
    return {
        name: value
        for name, value in record.items()
        if name not in names and isinstance(value, int | float) and not isinstance(value, bool)
    }


def schema(points: Iterable[Point]) -> dict[str, type[Any]]:
    """The columns and the types of their values."""
    return {column.name: column.kind for column in fields(points)}
