"""Picking: what a pick may be asked for at the command line, read into bounds."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Annotated

import typer

from secateur.cli.names import axes, bounds
from secateur.errors import UsageError
from secateur.point import Point
from secateur.study.pick import Pick, pick
from secateur.study.study import CONTROLS

MinAccuracy = Annotated[
    float | None, typer.Option(help="Pick the sparsest level of at least this val accuracy.")
]
MinQuality = Annotated[
    float | None,
    typer.Option(help="The same by whatever score chooses: at least this, or of an error at most."),
]
Within = Annotated[
    float | None, typer.Option(help="Pick the sparsest level this close to the dense net.")
]
AtLeast = Annotated[
    list[str] | None,
    typer.Option(
        help="A bound, AXIS=NUMBER: val_accuracy=0.9. May be given again.", autocompletion=bounds
    ),
]
AtMost = Annotated[
    list[str] | None,
    typer.Option(
        help="A bound, AXIS=NUMBER: bytes=200k, val_rmse=60. May be given again.",
        autocompletion=bounds,
    ),
]
Across = Annotated[
    str,
    typer.Option("--x", help="The axis beside the score that chooses.", autocompletion=axes),
]

_NUMBER = re.compile(
    r"\s*(-?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:[eE][+-]?\d{1,3})?)\s*([kMG]?)\s*"
)
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


def picked(
    points: Sequence[Point],
    *,
    min_accuracy: float | None,
    min_quality: float | None,
    within: float | None,
    at_least: list[str] | None,
    at_most: list[str] | None,
    x: str,
    controls: Collection[str] = CONTROLS,
) -> Pick | None:
    """The pick under what was asked for; None where nothing was.

    Raises:
        UsageError: A bound is none, or the study has no such axis; see `secateur.study.pick.pick`.
    """
    costs = {"at_least": _bounds("at-least", at_least), "at_most": _bounds("at-most", at_most)}
    floors = (min_accuracy, min_quality, within)
    if all(one is None for one in floors) and not any(costs.values()):
        return None
    found = pick(
        points,
        min_accuracy=min_accuracy,
        min_quality=min_quality,
        within=within,
        **costs,
        x=x,
        controls=controls,
    )
    if within is not None and _is_no_floor(found):
        typer.echo(
            f"Note: --within {within:g} is a distance from the dense net, and a guess is within "
            f"it. A floor itself is --min-quality {within:g}.",
            err=True,
        )
    return found


def _is_no_floor(found: Pick) -> bool:
    """Whether an answer that ignores its input meets the bound on the score that chooses."""
    point, floor = found.replicate.points[0], found.floor
    share, guess = point.val.share, point.baseline
    if share is not None and point.majority is not None:
        guess = point.majority / share.total
    if floor is None or (guess is None and share is None):
        return False
    return floor <= (guess or 0.0) if point.val.higher else floor >= (guess or 0.0)


def _bounds(option: str, given: list[str] | None) -> dict[str, Fraction]:
    """`bytes=200k` as the axis and the exact number."""
    found = {}
    for text in given or ():
        name, _, number = text.partition("=")
        match = _NUMBER.fullmatch(number)
        if not name or match is None or name in found:
            raise UsageError(
                "picking a level",
                f"--{option}",
                given=repr(text) + (" for an axis that has a bound already" * (name in found)),
                expected="AXIS=NUMBER, as in bytes=200k, each axis once",
                remedy="The axes stand in the table of `secateur export-table`.",
            )
        found[name] = Fraction(match[1]) * _UNITS[match[2]]
    return found
