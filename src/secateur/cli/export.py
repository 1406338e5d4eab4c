"""`secateur export`: a point of a study as a file that outlives it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from secateur.artifact.path import format_of
from secateur.cli.app import app
from secateur.cli.names import RunFolder, models, points
from secateur.cli.picking import (
    Across,
    AtLeast,
    AtMost,
    MinAccuracy,
    MinQuality,
    Within,
    picked,
)
from secateur.errors import ChannelError, UsageError
from secateur.point import Point
from secateur.study.export import check_target, file_for, make_folder, point_net
from secateur.study.net_source import OPERATION
from secateur.study.pick import Pick, shipped_point
from secateur.study.point_names import chosen_point, matching
from secateur.study.store import Store

Target = Literal["safetensors", "onnx", "pt2"]

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur export runs/demo --within 0.02 --out small.onnx
  secateur export runs/demo --at-most bytes=200k --to onnx
  secateur export runs/demo --point magnitude:0.9
  secateur export runs/mine --min-quality 0.85 --model mynets:build
"""


@app.command(epilog=EXAMPLES)
def export(
    run: RunFolder,
    point: Annotated[
        str | None,
        typer.Option(
            help="method:level:seed (l1-filter:0.5:0), less where that means one, or the start "
            "of a digest.",
            autocompletion=points,
        ),
    ] = None,
    min_accuracy: MinAccuracy = None,
    min_quality: MinQuality = None,
    within: Within = None,
    at_least: AtLeast = None,
    at_most: AtMost = None,
    x: Across = "sparsity",
    to: Annotated[
        Target | None,
        typer.Option(help="The kind of file; by the suffix of --out if not given."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file; RUN/exports/METHOD-LEVEL-SEED.* by default.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Your own net: package.module:function. Nothing that a run folder names is run.",
            autocompletion=models,
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Or the study file that was swept, for the net's options.")
    ] = None,
) -> None:
    """Write a network of a study to a file, its empty channels taken out.

    Either the pick under a floor or a budget, as `secateur frontier` names it, or one --point. Of
    several seeds a pick ships the one of the best validation score.

    The safetensors file is loaded by secateur.load; ONNX and pt2 run without secateur. A net of
    your own is built by the function that you name here or in the study file; neither its data nor
    the folder in which it was swept are needed.
    """
    kind = format_of(out, to, OPERATION)
    store = Store(run)
    there = store.points()
    found = picked(
        there,
        min_accuracy=min_accuracy,
        min_quality=min_quality,
        within=within,
        at_least=at_least,
        at_most=at_most,
        x=x,
    )
    chosen = _chosen(store, there, point, found)
    target = out or file_for(store, chosen, kind)
    check_target(target)
    made = point_net(store, chosen, model, study)
    make_folder(target.parent)
    if isinstance(made.compaction, ChannelError):
        typer.echo(f"Channels stay, as zeros: {made.compaction}", err=True)
    made.write(target, kind)
    if found is not None:
        typer.echo(str(found))
    typer.echo(f"{chosen.method} {chosen.level_name} seed {chosen.seed}: {target}")
    typer.echo(f"{target.stat().st_size:,} bytes")


def _chosen(store: Store, points: tuple[Point, ...], name: str | None, found: Pick | None) -> Point:
    """The point that is meant, by its name or as the pick."""
    if (name is None) == (found is None):
        raise UsageError(
            OPERATION,
            "what to export",
            given="not said" if found is None else "said twice, by --point and by a bound",
            expected="a bound for a pick, or a point",
            remedy=f"For example --within 0.02, or --point; `secateur frontier {store.folder}` "
            "shows what there is.",
        )
    if name is not None:
        earlier = () if matching(points, name) else store.earlier_points()
        return chosen_point((*points, *earlier), name, store.folder, others=len(earlier))
    if found is not None and found.met:
        return shipped_point(found)
    raise UsageError(
        OPERATION,
        "the pick",
        given=f"none: {str(found).rstrip('.')}",
        expected="a level that meets what is asked for",
        remedy="Ask for less, or name a point with --point.",
    )
