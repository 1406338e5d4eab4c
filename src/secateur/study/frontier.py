"""The frontier: the levels that no other level beats on every axis at once.

The task's first score on the validation split chooses. What is scored on test data is reported
beside the choice: asking for a frontier by it is an error here.

Controls (`random-*`, `scratch`) are measured and shown, but they never take a place on the
frontier nor a method's place off it: they exist to be compared with. The dense net is the one
exception. It prunes nothing and so competes as the anchor at sparsity 0: a method that gains
accuracy by pruning dominates it, and nothing else does.

What has collapsed, to no better a score than an answer that ignores its input, takes no place
either: a net that has lost its task is not the sparsest good one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from secateur.errors import UsageError
from secateur.point import Point
from secateur.study.aggregate import Replicate, replicates
from secateur.study.metrics import axis, quality_of

DENSE = "dense"

Candidate = TypeVar("Candidate", Point, Replicate)


def frontier(
    candidates: Iterable[Candidate],
    axes: Sequence[str] | None = None,
    controls: Collection[str] = (),
) -> tuple[Candidate, ...]:
    """The non-dominated ones of `candidates`.

    One dominates another when it is at least as good on every axis and better on one. Equal ones
    do not dominate each other: both stay.

    Args:
        candidates: Replicates (compared by their exact means) or single points, in any order.
        axes: Names of axes, one or more; each knows which direction is better. Sparsity and the
            score that chooses, if None.
        controls: Methods that take no part. `dense` takes part even if it is named. Nothing that
            has collapsed does.

    Returns:
        The frontier, ordered along the axes in turn, then by method and step.

    Raises:
        UnknownNameError: No such axis.
        UsageError: No axis, or one of test data.
    """
    there = list(candidates)
    axes = default_axes(there) if axes is None else axes
    check_choosing(axes, there)
    rivals = sorted(
        ((merits(candidate, axes), candidate) for candidate in competing(there, controls)),
        key=lambda rival: (rival[0], rival[1].method, rival[1].step),
    )
    best = _undominated([found for found, _ in rivals])
    return tuple(candidate for found, candidate in rivals if found in best)


def default_axes(candidates: Sequence[Point | Replicate]) -> tuple[str, str]:
    """Sparsity, and the score that chooses."""
    return "sparsity", quality_of(_all_points(candidates))


def check_choosing(axes: Sequence[str], candidates: Sequence[Point | Replicate]) -> None:
    """Refuse to choose by what may not: test data are scored once.

    Raises:
        UnknownNameError: No such axis.
        UsageError: An axis of test data.
    """
    points = _all_points(candidates)
    if axes and all(_may_choose(name, points) for name in axes):
        return
    raise UsageError(
        "choosing by axes",
        "the list of axes",
        given=", ".join(axes) or "empty",
        expected="axes that may choose",
        remedy=f"Test data are scored once and choose nothing: use {quality_of(points)}.",
    )


def _may_choose(name: str, points: Sequence[Point]) -> bool:
    return not name.startswith("test_") and axis(name, points).chooses


def competing(candidates: Iterable[Candidate], controls: Collection[str]) -> list[Candidate]:
    """Those that may win: no control but the dense net, and nothing that has collapsed."""
    return [
        each
        for each in candidates
        if (each.method == DENSE or each.method not in controls) and not each.collapsed
    ]


def merits(candidate: Point | Replicate, axes: Sequence[str]) -> tuple[Fraction, ...]:
    """One exact number an axis, turned so that higher is better on all of them."""
    return tuple(
        _measured(candidate, name)
        if axis(name, _points(candidate)).higher
        else -_measured(candidate, name)
        for name in axes
    )


def _all_points(candidates: Iterable[Point | Replicate]) -> list[Point]:
    return [point for candidate in candidates for point in _points(candidate)]


def _measured(candidate: Point | Replicate, name: str) -> Fraction:
    if isinstance(candidate, Replicate):
        return candidate.mean(name)
    return Fraction(axis(name, [candidate]).value(candidate))


def _points(candidate: Point | Replicate) -> Sequence[Point]:
    return candidate.points if isinstance(candidate, Replicate) else [candidate]


def _undominated(rivals: Sequence[tuple[Fraction, ...]]) -> set[tuple[Fraction, ...]]:
    """Those that no other dominates; of two axes in one pass from the best of the first on."""
    if not rivals or len(rivals[0]) != 2:
        return {one for one in rivals if not any(_dominates(other, one) for other in rivals)}
    best: list[tuple[Fraction, ...]] = []
    for one in sorted(set(rivals), reverse=True):
        if not best or one[1] > best[-1][1]:
            best.append(one)
    return set(best)


def _dominates(one: tuple[Fraction, ...], other: tuple[Fraction, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def reference_of(points: Sequence[Point], axes: tuple[str, str]) -> tuple[float, float]:
    """The worst value on each axis that still counts, to measure a hypervolume from.

    Of the score that chooses it is what the best answer that ignores its input scores, where that
    is known. Of whatever else is better the more there is of it, accuracy included, it is nothing.

    Raises:
        UnknownNameError: No such axis.
        UsageError: An error or a cost has no worst value.
    """
    return _worst(axes[0], points), _worst(axes[1], points)


def _worst(name: str, points: Sequence[Point]) -> float:
    metric = axis(name, points)
    baseline = next((one.baseline for one in points if one.baseline is not None), None)
    if name == quality_of(points) and baseline is not None:
        return baseline
    if metric.higher:
        return 0.0
    raise UsageError(
        "measuring a hypervolume",
        f"the {metric.label}",
        given="less of which is better, without a worst value",
        expected="the point to measure from",
        remedy="Pass reference=(x, y), in the units of the axes.",
    )


def hypervolume(
    candidates: Iterable[Point | Replicate],
    axes: tuple[str, str] | None = None,
    reference: tuple[float, float] | None = None,
) -> float:
    """The area that `candidates` dominate, down to the reference point; more is better.

    Computed exactly, as the staircase under the non-dominated ones, and rounded once. Source:
    Zitzler and Thiele (1998), "Multiobjective optimization using evolutionary algorithms".

    Args:
        candidates: Replicates (by their means) or points.
        axes: Two names of axes; sparsity and the score that chooses, if None.
        reference: The worst value on each axis that still counts, in the axis's own unit; as
            `reference_of` has it, if None. Whatever is not better than it on both axes adds
            nothing, and so the dense net at sparsity 0 never does.

    Raises:
        UnknownNameError: No such axis.
        UsageError: No axis, one of test data, or one of which no worst value is known.
    """
    there = list(candidates)
    if not there:
        return 0.0
    axes = axes or default_axes(there)
    check_choosing(axes, there)
    points = _all_points(there)
    reference = reference or reference_of(points, axes)
    origin = [
        (1 if axis(name, points).higher else -1) * Fraction(repr(float(bound)))
        for name, bound in zip(axes, reference, strict=True)
    ]
    found = [merits(candidate, axes) for candidate in there]
    return float(dominated_area(found, (origin[0], origin[1])))


def dominated_area(
    pairs: Iterable[tuple[Fraction, ...]], origin: tuple[Fraction, Fraction]
) -> Fraction:
    """The area between the staircase under some pairs, of which higher is better, and a point.

    Example:
        >>> one, nothing = Fraction(1), Fraction(0)
        >>> dominated_area([(one / 2, one / 2), (one, one / 4)], (nothing, nothing))
        Fraction(3, 8)
    """
    area, reached = Fraction(0), origin[1]
    for x, y in sorted(pairs, reverse=True):
        if x > origin[0] and y > reached:
            area += (x - origin[0]) * (y - reached)
            reached = y
    return area


def hypervolumes(
    points: Iterable[Point],
    axes: tuple[str, str] | None = None,
    reference: tuple[float, float] | None = None,
) -> Mapping[str, float]:
    """The hypervolume of each method's means, by name, controls included, collapsed ones not.

    Raises:
        UnknownNameError: No such axis.
        UsageError: An axis of test data, or one of which no worst value is known.
    """
    levels: dict[str, list[Replicate]] = {}
    there = replicates(points)
    axes = axes or default_axes(there)
    reference = reference or reference_of(_all_points(there), axes)
    for replicate in there:
        own = levels.setdefault(replicate.method, [])
        if not replicate.collapsed:
            own.append(replicate)
    return {method: hypervolume(those, axes, reference) for method, those in levels.items()}
