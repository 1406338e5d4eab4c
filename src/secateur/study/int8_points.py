"""INT8 points: what was measured of a study's points once they were quantised, beside the points.

Each is a point of its own, of the method `magnitude+int8`, with the level, seed, zeros and budget
of the point that was quantised, and the scores, bytes and latency of its INT8 file. They are kept
in the store beside the runs, which know nothing of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from secateur.errors import StoreError
from secateur.point import Latency, Point, Score
from secateur.study.decoding import damaged, decode_guess, decode_point
from secateur.study.int8_note import FACT as FACT
from secateur.study.int8_note import WHAT, Entry, int8_digest, read_note
from secateur.study.seal import sealed
from secateur.study.store import Store

SUFFIX = "+int8"


@dataclass(frozen=True)
class Int8Point:
    """A point and what its INT8 file measures.

    Attributes:
        source: The point that was quantised.
        point: The same once quantised.
    """

    source: Point
    point: Point


def int8_point(
    source: Point, scores: Sequence[Score], size: int, latency: Sequence[Latency] = ()
) -> Int8Point:
    """The point that an INT8 file is.

    Args:
        source: The point that was quantised.
        scores: Of the file.
        size: Its bytes.
        latency: Of the file, timed in one run with that of the study's points.
    """
    made = replace(
        source,
        method=f"{source.method}{SUFFIX}",
        digest=int8_digest(source.digest),
        scores=tuple(scores),
        artifact_bytes=size,
        latency=tuple(latency),
        before=(),
        metrics=(),
        curve=(),
    )
    return Int8Point(source, made)


def int8_points(store: Store) -> tuple[Int8Point, ...]:
    """Those of a store whose points are of the plan, in its order.

    A latency is left out once the study's points have been timed anew: ratios are only fair
    within one run.

    Raises:
        StoreError: The note of them is damaged.
    """
    held = read_note(store.fact(FACT))
    if not held:
        return ()
    points = store.points()
    entries = {entry["source"]: entry for entry in held}
    now, guess = timed_at(points), decode_guess(store.fact("data"))
    return tuple(
        Int8Point(point, _decoded(point, entries[point.digest], now, guess))
        for point in points
        if point.digest in entries
    )


def shown_points(store: Store) -> tuple[Point, ...]:
    """The points of the plan, and behind them those that were quantised."""
    return (*store.points(), *(one.point for one in int8_points(store)))


def source_of(store: Store, point: Point) -> Point:
    """The point whose network a point is: that which was quantised, or itself."""
    sources = {one.point.digest: one.source for one in int8_points(store)}
    return sources.get(point.digest, point)


def write_int8(store: Store, found: Iterable[Int8Point]) -> None:
    """Keep what was measured of quantised points, in place of what was known of the same ones.

    Args:
        store: Open for writing.
        found: The points; those that have a latency were timed with all points of the plan.
    """
    every = {one.source.digest: one for one in (*int8_points(store), *found)}
    beside = timed_at(store.points())
    entries = [
        {
            "source": digest,
            "result": sealed({"point": replace(one.point, latency=()).to_dict()}),
            "latency": json.dumps([asdict(each) for each in one.point.latency]),
            "beside": beside,
        }
        for digest, one in every.items()
    ]
    store.write_fact(FACT, json.dumps(entries))


def timed_at(points: Iterable[Point]) -> str:
    """What tells one timing of a study's points from another."""
    told = [[point.digest, *map(asdict, point.latency)] for point in points]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _decoded(source: Point, entry: Entry, now: str, guess: Any) -> Point:
    expected = int8_point(source, source.scores, 0).point
    timed = entry["latency"] if entry["beside"] == now else None
    try:
        found = decode_point(expected.digest, entry["result"], timed, source.checkpoint, guess)
    except StoreError as error:
        raise damaged(WHAT, error.given) from None
    if found.method != expected.method:
        raise damaged(WHAT, f"of the method {found.method!r:.60}")
    # What a later sweep knows better of the point holds of its INT8 file as well.
    return replace(found, step=source.step, training_seconds=source.training_seconds)
