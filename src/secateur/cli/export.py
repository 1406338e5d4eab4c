"""`secateur export`: a point of a study as a file that outlives it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from secateur.artifact.path import format_of
from secateur.cli.app import app
from secateur.cli.int8_table import int8_table
from secateur.cli.names import RunFolder, points
from secateur.cli.picking import Across, AtLeast, AtMost, MinAccuracy, MinQuality, Within
from secateur.cli.printing import print_table
from secateur.cli.shipping import Builder, OwnStudy, shipped
from secateur.errors import ChannelError, UsageError
from secateur.study.export import check_target, file_for, make_folder, point_net
from secateur.study.int8_points import source_of
from secateur.study.net_source import OPERATION
from secateur.study.store import Store

Target = Literal["safetensors", "onnx", "pt2"]

_SECONDS = 1.0
"""In which two files are timed beside each other, at each batch size."""

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur export runs/demo --within 0.02 --out small.onnx
  secateur export runs/demo --at-most bytes=200k --to onnx
  secateur export runs/demo --within 0.02 --to onnx --int8
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
    model: Builder = None,
    study: OwnStudy = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Of ONNX: quantise weights and activations, calibrated on the study's training "
            "data; the file's quality, bytes and latency are told beside the float32 ones.",
        ),
    ] = False,
    timing: Annotated[bool, typer.Option(help="Of --int8: time both files.")] = True,
) -> None:
    """Write a network of a study to a file, its empty channels taken out.

    Either the pick under a floor or a budget, as `secateur frontier` names it, or one --point. Of
    several seeds a pick ships the one of the best validation score.

    The safetensors file is loaded by secateur.load; ONNX and pt2 run without secateur. A net of
    your own is built by the function that you name here or in the study file; neither its data nor
    the folder in which it was swept are needed.
    """
    kind = format_of(out, to or ("onnx" if int8 and out is None else None), OPERATION)
    store = Store(run)
    bounds = {
        "min_accuracy": min_accuracy,
        "min_quality": min_quality,
        "within": within,
        "at_least": at_least,
        "at_most": at_most,
    }
    chosen, found = shipped(store, point, bounds, x)
    net = source_of(store, chosen)
    if net != chosen:
        int8, kind = True, kind if to or out else "onnx"
    if int8 and kind != "onnx":
        raise _not_onnx(kind)
    target = out or file_for(store, net, kind, "int8" if int8 else "")
    check_target(target)
    made = point_net(store, net, model, study)
    make_folder(target.parent)
    if isinstance(made.compaction, ChannelError):
        typer.echo(f"Channels stay, as zeros: {made.compaction}", err=True)
    if int8:
        from secateur.study.int8 import measuring, quantised

        held = measuring(store, model, study)
        print_table(int8_table(quantised(made, held, target, seconds=_SECONDS if timing else 0)))
    else:
        made.write(target, kind)
    if found is not None:
        typer.echo(str(found))
    typer.echo(f"{chosen.method} {chosen.level_name} seed {chosen.seed}: {target}")
    typer.echo(f"{target.stat().st_size:,} bytes")


def _not_onnx(kind: str) -> UsageError:
    return UsageError(
        OPERATION,
        "--int8",
        given=f"asked for of a {kind} file",
        expected="an ONNX file",
        remedy="Add --to onnx, or end --out in .onnx.",
    )
