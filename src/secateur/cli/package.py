"""`secateur package`: a point of a study as a folder that runs without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.names import RunFolder, points
from secateur.cli.picking import AtLeast, AtMost, MinQuality, Within
from secateur.cli.shipping import Builder, OwnStudy, shipped
from secateur.errors import ChannelError, UsageError
from secateur.study.export import folder_for, point_net
from secateur.study.int8_points import source_of
from secateur.study.store import Store

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur package runs/demo --point magnitude:0.9
  secateur package runs/demo --within 0.02 --out deployed
  secateur package runs/mine --point magnitude:0.9 --model mynets:build
"""


@app.command(epilog=EXAMPLES)
def package(
    run: RunFolder,
    point: Annotated[
        str | None,
        typer.Option(help="As of `secateur export`: method:level:seed.", autocompletion=points),
    ] = None,
    within: Within = None,
    min_quality: MinQuality = None,
    at_most: AtMost = None,
    at_least: AtLeast = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder; RUN/packages/METHOD-LEVEL-SEED by default.")
    ] = None,
    model: Builder = None,
    study: OwnStudy = None,
) -> None:
    """Write a network of a study into a folder that runs it without torch and without secateur.

    In it: the network, the kernels, the little Python that runs them with numpy, and the same in C.
    Every operator of the network needs a kernel; the first that has none is named.
    """
    from secateur.artifact.package import check_folder

    store = Store(run)
    bounds = {"within": within, "min_quality": min_quality, "at_most": at_most}
    chosen, found = shipped(store, point, {**bounds, "at_least": at_least})
    if source_of(store, chosen) != chosen:
        raise UsageError(
            "packaging a network",
            "the point",
            given=f"{chosen.method} {chosen.level_name}, in INT8",
            expected="one in float32, as the sparse kernels are",
            remedy="Export it with `secateur export`, or package the point that it was made of.",
        )
    target = out or folder_for(store, chosen)
    check_folder(target)
    made = point_net(store, chosen, model, study)
    if isinstance(made.compaction, ChannelError):
        typer.echo(f"Channels stay, as zeros: {made.compaction}", err=True)
    made.package(target)
    if found is not None:
        typer.echo(str(found))
    size = sum(one.stat().st_size for one in target.rglob("*") if one.is_file())
    typer.echo(f"{chosen.method} {chosen.level_name} seed {chosen.seed}: {target}")
    typer.echo(f"{size:,} bytes, {(target / 'net.plan').stat().st_size:,} of them the network")
