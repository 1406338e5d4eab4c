"""`secateur frontier`: the table, the pick and the JSON of a run folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.names import RunFolder
from secateur.cli.picking import (
    Across,
    AtLeast,
    AtMost,
    MinAccuracy,
    MinQuality,
    Within,
    picked,
)
from secateur.cli.printing import Terminal
from secateur.errors import StoreError, UsageError
from secateur.foundation.decimal_text import decimal_text
from secateur.point import Point
from secateur.report.budget import tuned_words
from secateur.report.figures import figures
from secateur.report.rank_table import show_ranks
from secateur.report.table import show, to_json
from secateur.study.aggregate import Replicate, replicates
from secateur.study.folder import inside
from secateur.study.frontier import frontier as non_dominated
from secateur.study.frontier import hypervolumes, reference_of
from secateur.study.int8_points import shown_points
from secateur.study.metrics import axis, quality_of
from secateur.study.ranking import rankings
from secateur.study.store import Store
from secateur.study.study import CONTROLS

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur frontier runs/demo --within 0.02
  secateur frontier runs/demo --at-most bytes=200k
  secateur frontier runs/demo --json | jq '.[] | select(.on_frontier)'
  secateur frontier runs/demo --json --within 0.02 | jq '.[] | select(.shipped)'
"""


@app.command(epilog=EXAMPLES)
def frontier(
    run: RunFolder,
    min_accuracy: MinAccuracy = None,
    min_quality: MinQuality = None,
    within: Within = None,
    at_least: AtLeast = None,
    at_most: AtMost = None,
    x: Across = "sparsity",
    every: Annotated[
        bool, typer.Option("--all", help="The points of an earlier plan, too, in their own table.")
    ] = False,
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
    `secateur export` takes the same bounds, and writes the pick to a file.
    """
    store = Store(run)
    if ranks:
        _tell_ranks(store, as_json)
        return
    points = shown_points(store)
    earlier = store.earlier_points() if every else ()
    if not as_json:
        if points or not earlier:
            print_frontier(store, x)
        tell_failures(store, told=every)
        print_earlier(earlier)
    found = picked(
        points,
        min_accuracy=min_accuracy,
        min_quality=min_quality,
        within=within,
        at_least=at_least,
        at_most=at_most,
        x=x,
    )
    if as_json:
        best = non_dominated(replicates(points), (x, quality_of(points)), CONTROLS)
        typer.echo(json.dumps(to_json(points, best, found, earlier), indent=2))
    if found is not None:
        typer.echo(str(found), err=as_json)


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


def print_frontier(store: Store, x: str = "sparsity") -> None:
    """The table, and the hypervolumes of what was swept."""
    points = shown_points(store)
    if not points:
        _raise_without_points(store)
    levels = replicates(points)
    console = Terminal()
    quality = quality_of(points)
    show(console, levels, non_dominated(levels, (x, quality), CONTROLS), CONTROLS)
    if tuned := tuned_words(store.settings):
        typer.echo(tuned)
    if x == "sparsity":
        _tell_hypervolumes(store.points(), quality)


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


def print_earlier(points: Sequence[Point]) -> None:
    """The points of an earlier plan, each by itself: what they have in common is not known."""
    if not points:
        return
    typer.echo(f"Of an earlier plan, and on no frontier: {count_of(points)}.")
    alone = [Replicate(one.method, one.level, one.step, (one,)) for one in points]
    show(Terminal(), alone, (), CONTROLS)


def count_of(points: Sequence[object]) -> str:
    """`4 finished points`."""
    return f"{len(points)} finished point{'' if len(points) == 1 else 's'}"


def tell_failures(store: Store, *, told: bool = False) -> None:
    """What failed, how much is still to be done, and what is there of an earlier plan.

    Args:
        store: Of the run folder.
        told: Whether the points of an earlier plan are shown as well.
    """
    for title, reason in store.failures():
        typer.echo(f"Failed: {title}: {reason}", err=True)
    if store.missing():
        typer.echo(f"{store.missing()} runs are still to be done.", err=True)
    if (earlier := store.earlier()) and not told:
        typer.echo(
            f"{count_of(range(earlier))} of an earlier plan: the levels, the methods, the network "
            f"or its training were changed since. `secateur frontier {store.folder} --all` shows "
            "them.",
            err=True,
        )


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
        for path in figures(shown_points(store), folder, controls=CONTROLS):
            if not quiet:
                typer.echo(f"Figure: {path}")
    except UsageError as error:
        typer.echo(f"No figures: {error}", err=True)
