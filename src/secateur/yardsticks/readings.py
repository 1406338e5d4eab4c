"""Readings: how our figure is read from the points of a study, one for each seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from secateur.foundation.level import Levels, order
from secateur.foundation.level_text import level_text
from secateur.point import Point
from secateur.study.aggregate import estimate
from secateur.study.frontier import DENSE
from secateur.yardsticks.published import Yardstick

PER_CENT = 100
Found = Mapping[str, Sequence[Point]]
"""The points of a study, by recipe."""


@dataclass(frozen=True)
class Reading:
    """What was read.

    Attributes:
        values: One a seed, exact.
        words: What it was read from, for the table.
    """

    values: tuple[Fraction, ...]
    words: str


def loss(yardstick: Yardstick, found: Found) -> Reading:
    """Points of test error that the pruned net has more than the dense one of its seed."""
    points = _of_one(found)
    pruned = _pruned(points, yardstick.method)
    level = yardstick.level or next(iter(pruned), ())
    return _loss(points, pruned.get(level, {}), "test")


def bytes_at_no_loss(yardstick: Yardstick, found: Found) -> Reading:
    """How many times smaller the file is at the highest level without a loss on validation.

    Without a loss: the band of the loss reaches zero. Where no level is, the dense file is what
    there is.
    """
    points = _of_one(found)
    dense = _dense(points)
    best = Reading(tuple(Fraction(1) for _ in dense), "no level is without a loss")
    by_level = _pruned(points, yardstick.method)
    for level in sorted(by_level, key=order):
        pruned = by_level[level]
        lost = _loss(points, pruned, "val")
        seeds = [seed for seed in pruned if seed in dense]
        if not seeds or not _is_none(lost.values):
            continue
        ratios = tuple(
            Fraction(dense[seed].artifact_bytes or 0, pruned[seed].artifact_bytes or 1)
            for seed in seeds
        )
        words = f"{pruned[seeds[0]].artifact_bytes} bytes at {level_text(level)}"
        best = Reading(ratios, f"{words}: {_loss(points, pruned, 'test').words}")
    return best


def gain(yardstick: Yardstick, found: Found) -> Reading:
    """Points of test accuracy that the last recipe has more than the first."""
    first, *_, last = (_pruned(points, yardstick.method) for points in found.values())
    level = yardstick.level
    before, after = first.get(level, {}), last.get(level, {})
    values = [
        PER_CENT * (after[seed].test.exact - before[seed].test.exact)
        for seed in before
        if seed in after
    ]
    shown = " -> ".join(_mean([p.test.exact for p in each.values()]) for each in (before, after))
    names = list(found)
    return Reading(tuple(values), f"accuracy {shown}, {names[0]} and {names[-1]}")


READINGS: Mapping[str, Callable[[Yardstick, Found], Reading]] = {
    "loss": loss,
    "bytes": bytes_at_no_loss,
    "gain": gain,
}


def _of_one(found: Found) -> Sequence[Point]:
    return next(iter(found.values()), ())


def _dense(points: Sequence[Point]) -> dict[int, Point]:
    """The dense net of each seed: the control of the same total, or else the base net."""
    return {point.seed: point for point in reversed(points) if point.method == DENSE}


def _pruned(points: Sequence[Point], method: str) -> dict[Levels, dict[int, Point]]:
    """The points of a method, by level and by seed."""
    found: dict[Levels, dict[int, Point]] = {}
    for point in points:
        if point.method == method:
            found.setdefault(point.level, {})[point.seed] = point
    return found


def _loss(points: Sequence[Point], pruned: Mapping[int, Point], split: str) -> Reading:
    dense = _dense(points)
    pairs = [
        (getattr(dense[seed], split).exact, getattr(point, split).exact)
        for seed, point in pruned.items()
        if seed in dense
    ]
    values = tuple(PER_CENT * (before - after) for before, after in pairs)
    errors = [[1 - each for each in side] for side in zip(*pairs, strict=True)]
    return Reading(values, f"error {' -> '.join(map(_mean, errors))}" if pairs else "no points")


def _mean(shares: Sequence[Fraction]) -> str:
    return f"{float(PER_CENT * estimate(shares).mean):.2f}" if shares else "?"


def _is_none(losses: Sequence[Fraction]) -> bool:
    found = estimate(losses)
    return found.mean - (found.band or 0) <= 0
