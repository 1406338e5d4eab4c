"""`secateur frontier`: the table, the pick and the JSON of a run folder."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.names import RunFolder
from secateur.cli.printing import Terminal
from secateur.errors import StoreError, UsageError
from secateur.foundation.decimal_text import decimal_text
from secateur.point import Point
from secateur.report.budget import tuned_words
from secateur.report.figures import figures
from secateur.report.rank_table import show_ranks
from secateur.report.table import show, to_json
from secateur.study.aggregate import replicates
from secateur.study.folder import inside
from secateur.study.frontier import frontier as non_dominated
from secateur.study.frontier import hypervolumes, reference_of
from secateur.study.metrics import axis, quality_of
from secateur.study.pick import pick
from secateur.study.ranking import rankings
from secateur.study.store import Store
from secateur.study.study import CONTROLS

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur frontier runs/demo --within 0.02
  secateur frontier runs/demo --at-most bytes=200k
  secateur frontier runs/demo --json | jq '.[] | select(.on_frontier)'
"""


@app.command(epilog=EXAMPLES)
def frontier(
    run: RunFolder,
    min_accuracy: Annotated[
        float | None, typer.Option(help="Pick the sparsest level of at least this val accuracy.")
    ] = None,
    within: Annotated[
        float | None, typer.Option(help="Pick the sparsest level this close to the dense net.")
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option(help="A bound, AXIS=NUMBER: val_accuracy=0.9. May be given again."),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option(help="A bound, AXIS=NUMBER: bytes=200k, val_rmse=60. May be given again."),
    ] = None,
    x: Annotated[str, typer.Option(help="The axis beside the score that chooses.")] = "sparsity",
    ranks: Annotated[
        bool, typer.Option("--ranks", help="Each method's mean rank over levels and seeds.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One object a point; with --ranks, one a ranking.")
    ] = False,
) -> None:
    """Show every level, the non-dominated ones, and the pick under a floor or a budget.

    The first validation score chooses; test data were scored once and are only shown. With a bound
    on that score the best on the axis is picked, with bounds on costs alone the best score.
    """
    bounds = {"at_least": _bounds("at-least", at_least), "at_most": _bounds("at-most", at_most)}
    store = Store(run)
    if ranks:
        _tell_ranks(store, as_json)
        return
    if as_json:
        points = store.points()
        best = non_dominated(replicates(points), (x, quality_of(points)), CONTROLS)
        typer.echo(json.dumps(to_json(points, best), indent=2))
        return
    print_frontier(store, x)
    tell_failures(store)
    if min_accuracy is not None or within is not None or any(bounds.values()):
        found = pick(
            store.points(),
            min_accuracy=min_accuracy,
            within=within,
            at_least=bounds["at_least"],
            at_most=bounds["at_most"],
            x=x,
            controls=CONTROLS,
        )
        typer.echo(str(found))


def _tell_ranks(store: Store, as_json: bool) -> None:
    points = store.points()
    found = rankings(points, CONTROLS)
    if as_json:
        typer.echo(json.dumps([one.to_dict() for one in found], indent=2))
        return
    if not found:
        _raise_without_ranks(store)
    for one in found:
        show_ranks(Terminal(), one)


def _raise_without_ranks(store: Store) -> None:
    raise UsageError(
        "ranking the methods",
        str(store.folder),
        given="a study without two methods of one kind that share a level",
        expected="two or more, each with its points at the same levels and seeds",
        remedy="Sweep with more methods, or wait until their runs have ended.",
    )


_NUMBER = re.compile(
    r"\s*(-?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:[eE][+-]?\d{1,3})?)\s*([kMG]?)\s*"
)
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


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


def print_frontier(store: Store, x: str = "sparsity") -> None:
    """The table and the hypervolumes."""
    points = store.points()
    if not points:
        _raise_without_points(store)
    levels = replicates(points)
    console = Terminal()
    quality = quality_of(points)
    show(console, levels, non_dominated(levels, (x, quality), CONTROLS), CONTROLS)
    if tuned := tuned_words(store.settings):
        typer.echo(tuned)
    if x == "sparsity":
        _tell_hypervolumes(points, quality)


def _tell_hypervolumes(points: Sequence[Point], quality: str) -> None:
    axes = ("sparsity", quality)
    try:
        worst = reference_of(points, axes)
    except UsageError:
        return  # an error of which nobody knows what a guess makes has no area
    ranked = sorted(hypervolumes(points, axes, worst).items(), key=lambda item: -item[1])
    parts = ", ".join(f"{name} {volume:.4f}" for name, volume in ranked if name != "dense")
    label = axis(quality, points).label.replace("validation", "val")
    typer.echo(f"Hypervolume (sparsity x {label}, from 0, {decimal_text(worst[1])}): {parts}")


def tell_failures(store: Store) -> None:
    """What failed, and how much is still to be done."""
    for title, reason in store.failures():
        typer.echo(f"Failed: {title}: {reason}", err=True)
    if store.missing():
        typer.echo(f"{store.missing()} runs are still to be done.", err=True)
    if earlier := store.earlier():
        words = f"{earlier} points of an earlier plan are kept in the store and in no table"
        typer.echo(f"{words}: the study or its network was changed since.", err=True)


def _raise_without_points(store: Store) -> None:
    failures = store.failures()
    raise StoreError(
        "drawing the frontier",
        str(store.folder),
        given="a study without a finished point"
        + (f" ({failures[0][0]}: {failures[0][1]})" if failures else ""),
        expected="at least one",
        remedy="Run `secateur sweep` with the same settings to go on with it.",
    )


def draw(store: Store, quiet: bool = False) -> None:
    """Write the figures, or say why there are none."""
    try:
        folder = inside(store.folder, "figures")
        for path in figures(store.points(), folder, controls=CONTROLS):
            if not quiet:
                typer.echo(f"Figure: {path}")
    except UsageError as error:
        typer.echo(f"No figures: {error}", err=True)
