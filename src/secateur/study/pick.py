"""The pick: the best level among those whose score meets a floor, or whose cost meets a budget.

A floor is a bound on the score that chooses: at least so much accuracy, at most so much error. It
is compared exactly, as the decimal that was written, with the mean over the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from secateur.errors import UsageError
from secateur.foundation.decimal_text import decimal_text
from secateur.foundation.html import paragraph
from secateur.point import Point
from secateur.study.aggregate import Replicate, replicates
from secateur.study.frontier import DENSE, check_choosing, competing, merits
from secateur.study.metrics import Metric, axis, quality_of


@dataclass(frozen=True)
class Bound:
    """What a level has to meet on one axis.

    Attributes:
        axis: The axis's name.
        value: The bound, as the decimal that was written.
        at_least: Whether the level's mean must be at least that; else at most.
    """

    axis: str
    value: Fraction
    at_least: bool

    def met_by(self, level: Replicate) -> bool:
        """Whether a level's mean meets it; a level without the measurement does not."""
        if not level.is_measured(axis(self.axis, level.points)):
            return False
        found = level.mean(self.axis)
        return found >= self.value if self.at_least else found <= self.value

    def text(self, metric: Metric) -> str:
        """`a validation accuracy of at least 0.9`, `bytes on disk of at most 200000`."""
        article = "" if metric.unit in ("bytes", "count", "epochs") else "a "
        side = "least" if self.at_least else "most"
        return f"{article}{metric.label} of at {side} {decimal_text(self.value)}"


@dataclass(frozen=True)
class Pick:
    """What `pick` found.

    Attributes:
        bounds: What was asked for.
        met: Whether a level meets all of it.
        replicate: The best that does; where none does, the one of the best score.
    """

    bounds: tuple[Bound, ...]
    met: bool
    replicate: Replicate

    @property
    def floor(self) -> float | None:
        """The bound on the score that chooses; None where only costs were bounded."""
        quality = quality_of(self.replicate.points)
        return next((float(one.value) for one in self.bounds if one.axis == quality), None)

    def __str__(self) -> str:
        """One sentence for the terminal."""
        best = self.replicate
        quality = quality_of(best.points)
        label = axis(quality, best.points).label
        name = best.method if best.level_name == "-" else f"{best.method} at {best.level_name}"
        found = f"{name}: sparsity {float(best.mean('sparsity')):.4f}, {label} "
        found += str(best.estimate(quality))
        for one in self.bounds:
            if one.axis == quality:
                continue
            metric = axis(one.axis, best.points)
            known = best.is_measured(metric)
            words = decimal_text(best.mean(one.axis), 6) if known else "not measured"
            found += f", {metric.label} {words}"
        asked = " and ".join(one.text(axis(one.axis, best.points)) for one in self.bounds)
        if self.met:
            return f"Pick for {asked}: {found}."
        if best.collapsed:
            word = label.removeprefix("validation ")
            return f"Every level has collapsed to the {word} of a guess; the best is {found}."
        if len(self.bounds) == 1:
            asked = asked.replace(" of at least", " of").replace(" of at most", " of")
        return f"No level reaches {asked}; the best is {found}."

    def _repr_html_(self) -> str:
        return f"<div>{paragraph(str(self))}{self.replicate._repr_html_()}</div>"


def shipped_point(found: Pick) -> Point:
    """Of the seeds of the level picked, the one whose validation score is best.

    A level is picked by its mean over the seeds, and one network is shipped. Of equals it is the
    first.
    """
    return max(
        found.replicate.points,
        key=lambda one: one.val.value if one.val.higher else -one.val.value,
    )


def pick(
    points: Iterable[Point],
    *,
    min_accuracy: float | None = None,
    min_quality: float | None = None,
    within: float | None = None,
    at_least: Mapping[str, float | Fraction] | None = None,
    at_most: Mapping[str, float | Fraction] | None = None,
    x: str = "sparsity",
    controls: Collection[str] = (),
) -> Pick:
    """The best level that meets every bound.

    With a bound on the score that chooses, the best on the axis `x` is picked (the sparsest of at
    least this accuracy); with bounds on costs alone, the one of the best score (the most accurate
    of at most 200 kB). Bounds are compared exactly, as the decimals that were written: a mean of
    1800/2000 meets 0.9. A level counts by its mean; the band is reported with it and decides
    nothing. Ties go to the other of the two, then to the first by method and step.

    Args:
        points: The points of one study.
        min_accuracy: Of a study of classification: the least validation accuracy, 0 to 1.
        min_quality: The same of whatever score chooses: at least that much of it; of an error at
            most.
        within: How much worse than the dense net's mean the score may be, in its own unit.
        at_least: Least values by axis: `{"val_accuracy": 0.9}`.
        at_most: Largest values by axis: `{"bytes": 200_000}`, `{"val_rmse": 60}`.
        x: What to maximise (or minimise, where lower is better) among those that meet a floor.
        controls: Methods that cannot be picked; `dense` can. Nothing that has collapsed can.

    Raises:
        UnknownNameError: No such axis.
        UsageError: No bound or two floors, a floor outside 0 to 1, an axis of test data, no
            points, or `within` of a study without the dense net.
    """
    levels = replicates(points)
    check_choosing([x], levels)
    rivals = competing(levels, controls)
    # Without any that does better than a guess, none is picked: the best of them is only named.
    named = rivals or [one for one in levels if one.method == DENSE or one.method not in controls]
    if not named:
        raise _refuse("the study", "empty", "at least one finished run", "Run it first.")
    quality = quality_of(levels[0].points)
    bounds = (
        *_floor(levels, quality, min_accuracy, min_quality, within),
        *_bounds(levels, at_least or {}, at_least=True),
        *_bounds(levels, at_most or {}, at_least=False),
    )
    if not bounds:
        expected = "min_accuracy, min_quality, within, at_least or at_most"
        raise _refuse("the floor", "not given", expected, "Pass one of them.")
    able = [rival for rival in rivals if all(one.met_by(rival) for one in bounds)]
    floored = any(one.axis == quality for one in bounds)
    order = (x, quality) if able and floored else (quality, x)
    # max() keeps the first of equals, and replicates are ordered by method and step.
    best = max(able or named, key=lambda rival: merits(rival, order))
    return Pick(bounds, bool(able), best)


@dataclass(frozen=True)
class Breakpoint:
    """Up to which floor a level is the pick.

    Attributes:
        floor: The hardest bound on the score that chooses which it meets: the highest accuracy
            that may be asked for, or the lowest error. None where no level meets what is asked
            for, and this one is only named.
        level: The level.
    """

    floor: Fraction | None
    level: Replicate


def breakpoints(
    levels: Sequence[Replicate], x: str = "sparsity", controls: Collection[str] = ()
) -> list[Breakpoint]:
    """Every pick that there can be on the axis `x`, by ever harder floors; see `pick`.

    Args:
        levels: Measured on the axis, ordered by method and step.
        x: What is maximised, or minimised where lower is better.
        controls: Methods that cannot be picked.

    Returns:
        The first whose floor is at least as hard as the one asked for is the pick; the last has
        none.
    """
    check_choosing([x], levels)
    rivals = competing(levels, controls)
    if not rivals:
        return []
    quality = quality_of(rivals[0].points)
    order = {id(rival): -place for place, rival in enumerate(rivals)}
    worth = {id(rival): merits(rival, (x, quality)) for rival in rivals}
    found: list[Breakpoint] = []
    best: tuple[tuple[Fraction, ...], int] | None = None
    for rival in sorted(rivals, key=lambda one: worth[id(one)][1], reverse=True):
        rank = (worth[id(rival)], order[id(rival)])
        floor = rival.mean(quality)
        level = found[-1].level if found else rival
        if best is None or rank > best:
            best, level = rank, rival
        if found and found[-1].floor == floor:
            found.pop()
        found.append(Breakpoint(floor, level))
    highest = max(rivals, key=lambda one: (worth[id(one)][::-1], order[id(one)]))
    return [*reversed(found), Breakpoint(None, highest)]


def _floor(
    levels: Sequence[Replicate],
    quality: str,
    min_accuracy: float | None,
    min_quality: float | None,
    within: float | None,
) -> tuple[Bound, ...]:
    floors = {"min_accuracy": min_accuracy, "min_quality": min_quality, "within": within}
    given = {name: one for name, one in floors.items() if one is not None}
    if not given:
        return ()
    if len(given) > 1:
        one_of = "one of min_accuracy, min_quality and within"
        raise _refuse("the floor", "given twice", one_of, "Pass one of the two.")
    ((named, share),) = given.items()
    points = levels[0].points
    metric = axis(quality, points)
    if min_accuracy is not None and quality != "val_accuracy":
        sign = "at_least" if metric.higher else "at_most"
        raise _refuse(
            "min_accuracy",
            f"{share}",
            f"a bound on the {metric.label}, which this study measures",
            f"Pass {sign}={{{quality!r}: ...}}, or min_quality (at the command line, "
            f"--min-quality {share:g}).",
        )
    if metric.unit == "share" and not 0 <= share <= 1:
        example = "two points as 0.02" if named == "within" else "90 % as 0.9"
        raise _refuse(named, f"{share}", "a share from 0 to 1", f"Write {example}.")
    if not math.isfinite(share) or (within is not None and share < 0):
        expected = "a distance of 0 or more" if within is not None else "a number"
        raise _refuse(named, f"{share}", expected, "Mend the number.")
    decimal = Fraction(repr(float(share)))
    if within is None:
        return (Bound(quality, decimal, at_least=metric.higher),)
    dense = [level.mean(quality) for level in levels if level.method == DENSE]
    if not dense:
        remedy = "Add `dense` to the methods, or pass min_quality (--min-quality)."
        if quality == "val_accuracy":
            remedy = "Add `dense` to the methods, or pass min_accuracy (--min-accuracy)."
        raise _refuse("the study", "without the dense net", "one run of it", remedy)
    value = max(dense) - decimal if metric.higher else min(dense) + decimal
    return (Bound(quality, value, at_least=metric.higher),)


def _bounds(
    levels: Sequence[Replicate], given: Mapping[str, float | Fraction], *, at_least: bool
) -> Iterator[Bound]:
    for name, value in given.items():
        check_choosing([name], levels)
        try:
            float(value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise _refuse(f"the bound on {name}", f"{value}", "a number", "Mend the number.")
        exact = Fraction(str(value))  # the decimal that was written
        yield Bound(name, exact, at_least)


def _refuse(subject: str, given: str, expected: str, remedy: str) -> UsageError:
    return UsageError("picking a level", subject, given=given, expected=expected, remedy=remedy)
