"""The frontier: the levels that no other level beats on every axis at once, and the pick from it.

Validation accuracy chooses. Test accuracy is scored once and reported beside the choice: asking
for a frontier or a pick by it is an error here.

Controls (`random-*`, `scratch`) are measured and shown, but they never take a place on the
frontier nor a method's place off it: they exist to be compared with. The dense net is the one
exception. It prunes nothing and so competes as the anchor at sparsity 0: a method that gains
accuracy by pruning dominates it, and nothing else does.

What has collapsed, to no more right answers than always naming the most frequent class gives,
takes no place either: a net that has lost its task is not the sparsest good one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from secateur.errors import UsageError
from secateur.foundation.html import paragraph
from secateur.point import Point
from secateur.study.aggregate import Replicate, replicates
from secateur.study.metrics import axis

DENSE = "dense"
DEFAULT_AXES = ("sparsity", "val_accuracy")

Candidate = TypeVar("Candidate", Point, Replicate)


def frontier(
    candidates: Iterable[Candidate],
    axes: Sequence[str] = DEFAULT_AXES,
    controls: Collection[str] = (),
) -> tuple[Candidate, ...]:
    """The non-dominated ones of `candidates`.

    One dominates another when it is at least as good on every axis and better on one. Equal ones
    do not dominate each other: both stay.

    Args:
        candidates: Replicates (compared by their exact means) or single points, in any order.
        axes: Names from `AXES`, one or more; each knows which direction is better.
        controls: Methods that take no part. `dense` takes part even if it is named. Nothing that
            has collapsed does.

    Returns:
        The frontier, ordered along the axes in turn, then by method and step.

    Raises:
        UnknownNameError: No such axis.
        UsageError: No axis, or test accuracy as one.
    """
    _choosing(axes)
    rivals = sorted(
        ((_merits(candidate, axes), candidate) for candidate in _competing(candidates, controls)),
        key=lambda rival: (rival[0], rival[1].method, rival[1].step),
    )
    best = _undominated([merits for merits, _ in rivals])
    return tuple(candidate for merits, candidate in rivals if merits in best)


def _choosing(axes: Sequence[str]) -> None:
    if not axes or "test_accuracy" in axes:
        raise UsageError(
            "choosing by axes",
            "the list of axes",
            given=", ".join(axes) or "empty",
            expected="axes that may choose",
            remedy="Test data are scored once and choose nothing: use val_accuracy.",
        )


def _competing(candidates: Iterable[Candidate], controls: Collection[str]) -> list[Candidate]:
    return [
        each
        for each in candidates
        if (each.method == DENSE or each.method not in controls) and not each.collapsed
    ]


def _merits(candidate: Point | Replicate, axes: Sequence[str]) -> tuple[Fraction, ...]:
    """One exact number an axis, turned so that higher is better on all of them."""
    return tuple(
        _measured(candidate, name)
        if axis(name, _points(candidate)).higher
        else -_measured(candidate, name)
        for name in axes
    )


def _measured(candidate: Point | Replicate, name: str) -> Fraction:
    if isinstance(candidate, Replicate):
        return candidate.mean(name)
    return Fraction(axis(name, [candidate]).value(candidate))


def _points(candidate: Point | Replicate) -> Sequence[Point]:
    return candidate.points if isinstance(candidate, Replicate) else [candidate]


def _undominated(merits: Sequence[tuple[Fraction, ...]]) -> set[tuple[Fraction, ...]]:
    """Those that no other dominates; of two axes in one pass from the best of the first on."""
    if not merits or len(merits[0]) != 2:
        return {one for one in merits if not any(_dominates(other, one) for other in merits)}
    best: list[tuple[Fraction, ...]] = []
    for one in sorted(set(merits), reverse=True):
        if not best or one[1] > best[-1][1]:
            best.append(one)
    return set(best)


def _dominates(one: tuple[Fraction, ...], other: tuple[Fraction, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True)
class Pick:
    """What `pick` found.

    Attributes:
        floor: The validation accuracy that was asked for.
        met: Whether a level reaches it.
        replicate: The sparsest that does; where none does, the most accurate that there is.
    """

    floor: float
    met: bool
    replicate: Replicate

    def __str__(self) -> str:
        """One sentence for the terminal."""
        best = self.replicate
        name = best.method if best.level_name == "-" else f"{best.method} at {best.level_name}"
        found = f"{name}: sparsity {float(best.mean('sparsity')):.4f}, validation accuracy "
        found += str(best.estimate("val_accuracy"))
        if self.met:
            return f"Pick for a validation accuracy of at least {self.floor:.4g}: {found}."
        if best.collapsed:
            return f"Every level has collapsed to the accuracy of a guess; the best is {found}."
        return f"No level reaches a validation accuracy of {self.floor:.4g}; the best is {found}."

    def _repr_html_(self) -> str:
        return f"<div>{paragraph(str(self))}{self.replicate._repr_html_()}</div>"


def pick(
    points: Iterable[Point],
    *,
    min_accuracy: float | None = None,
    within: float | None = None,
    x: str = "sparsity",
    controls: Collection[str] = (),
) -> Pick:
    """The best level on the axis `x` whose mean validation accuracy meets a floor.

    The floor is compared exactly, as the decimal that was written: a mean of 1800/2000 meets 0.9.
    A level counts by its mean; the band is reported with it and decides nothing. Ties go to the
    higher accuracy, then to the first by method and step.

    Args:
        points: The points of one study.
        min_accuracy: The floor, a share from 0 to 1. Give this or `within`.
        within: The floor as a distance below the dense net's mean, a share from 0 to 1.
        x: What to maximise (or minimise, where lower is better) among those that meet it.
        controls: Methods that cannot be picked; `dense` can. Nothing that has collapsed can.

    Raises:
        UnknownNameError: No such axis.
        UsageError: Not exactly one floor, a floor outside 0 to 1, test accuracy as `x`, no
            points, or `within` of a study without the dense net.
    """
    _choosing([x])
    levels = replicates(points)
    rivals = _competing(levels, controls)
    # Without any that does better than a guess, none is picked: the best of them is only named.
    named = rivals or [one for one in levels if one.method == DENSE or one.method not in controls]
    if not named:
        raise _refuse("the study", "empty", "at least one finished run", "Run it first.")
    floor = _floor(levels, min_accuracy, within)
    able = [rival for rival in rivals if rival.mean("val_accuracy") >= floor]
    order = (x, "val_accuracy") if able else ("val_accuracy", x)
    # max() keeps the first of equals, and replicates are ordered by method and step.
    best = max(able or named, key=lambda rival: _merits(rival, order))
    return Pick(float(floor), bool(able), best)


@dataclass(frozen=True)
class Breakpoint:
    """Up to which floor a level is the pick.

    Attributes:
        floor: The highest validation accuracy that may be asked for; None where no level meets
            what is asked for, and this one is only named.
        level: The level.
    """

    floor: Fraction | None
    level: Replicate


def breakpoints(
    levels: Sequence[Replicate], x: str = "sparsity", controls: Collection[str] = ()
) -> list[Breakpoint]:
    """Every pick that there can be on the axis `x`, by rising floors; see `pick`.

    Args:
        levels: Measured on the axis, ordered by method and step.
        x: What is maximised, or minimised where lower is better.
        controls: Methods that cannot be picked.

    Returns:
        The first whose floor is at least the one asked for is the pick; the last has none.
    """
    _choosing([x])
    rivals = _competing(levels, controls)
    if not rivals:
        return []
    order = {id(rival): -place for place, rival in enumerate(rivals)}
    found: list[Breakpoint] = []
    best: tuple[tuple[Fraction, ...], int] | None = None
    for rival in sorted(rivals, key=lambda one: one.mean("val_accuracy"), reverse=True):
        merits = (_merits(rival, (x, "val_accuracy")), order[id(rival)])
        floor = rival.mean("val_accuracy")
        level = found[-1].level if found else rival
        if best is None or merits > best:
            best, level = merits, rival
        if found and found[-1].floor == floor:
            found.pop()
        found.append(Breakpoint(floor, level))
    highest = max(rivals, key=lambda one: (_merits(one, ("val_accuracy", x)), order[id(one)]))
    return [*reversed(found), Breakpoint(None, highest)]


def _floor(
    rivals: Sequence[Replicate], min_accuracy: float | None, within: float | None
) -> Fraction:
    share = min_accuracy if within is None else within
    if share is None or (min_accuracy is not None and within is not None):
        given = "not given" if share is None else "given twice"
        raise _refuse("the floor", given, "min_accuracy or within", "Pass one of the two.")
    if not 0 <= share <= 1:
        raise _refuse("the floor", f"{share}", "a share from 0 to 1", "Write 90 % as 0.9.")
    decimal = Fraction(repr(float(share)))
    if within is None:
        return decimal
    dense = [rival.mean("val_accuracy") for rival in rivals if rival.method == DENSE]
    if not dense:
        remedy = "Add `dense` to the methods, or pass min_accuracy."
        raise _refuse("the study", "without the dense net", "one run of it", remedy)
    return max(dense) - decimal


def _refuse(subject: str, given: str, expected: str, remedy: str) -> UsageError:
    return UsageError("picking a level", subject, given=given, expected=expected, remedy=remedy)


def hypervolume(
    candidates: Iterable[Point | Replicate],
    axes: tuple[str, str] = DEFAULT_AXES,
    reference: tuple[float, float] = (0, 0),
) -> float:
    """The area that `candidates` dominate, down to the reference point; more is better.

    Computed exactly, as the staircase under the non-dominated ones, and rounded once. Source:
    Zitzler and Thiele (1998), "Multiobjective optimization using evolutionary algorithms".

    Args:
        candidates: Replicates (by their means) or points.
        axes: Two names from `AXES`.
        reference: The worst value on each axis that still counts, in the axis's own unit:
            sparsity 0 and accuracy 0, or the accuracy of chance. Whatever is not better than it
            on both axes adds nothing, and so the dense net at sparsity 0 never does.

    Raises:
        UnknownNameError: No such axis.
        UsageError: Test accuracy as an axis.
    """
    _choosing(axes)
    origin = [
        (1 if axis(name).higher else -1) * Fraction(repr(float(bound)))
        for name, bound in zip(axes, reference, strict=True)
    ]
    area, reached = Fraction(0), origin[1]
    for x, y in sorted((_merits(candidate, axes) for candidate in candidates), reverse=True):
        if x > origin[0] and y > reached:
            area += (x - origin[0]) * (y - reached)
            reached = y
    return float(area)


def hypervolumes(
    points: Iterable[Point],
    axes: tuple[str, str] = DEFAULT_AXES,
    reference: tuple[float, float] = (0, 0),
) -> Mapping[str, float]:
    """The hypervolume of each method's means, by name, controls included, collapsed ones not.

    Raises:
        UnknownNameError: No such axis.
        UsageError: Test accuracy as an axis.
    """
    levels: dict[str, list[Replicate]] = {}
    for replicate in replicates(points):
        own = levels.setdefault(replicate.method, [])
        if not replicate.collapsed:
            own.append(replicate)
    return {method: hypervolume(those, axes, reference) for method, those in levels.items()}
