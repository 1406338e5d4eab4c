"""`secateur export`: a point of a study as a file that outlives it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from secateur.cli.app import app
from secateur.cli.names import RunFolder
from secateur.errors import ChannelError, StoreError, UsageError
from secateur.point import Point
from secateur.spec import GIVEN, StudySpec, check_study
from secateur.study.store import Store

if TYPE_CHECKING:
    from secateur.data.images import ImageData

Target = Literal["safetensors", "onnx", "pt2"]
_LISTED = 8

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur export runs/demo --point magnitude:0.9:0
  secateur export runs/demo --point l1-filter:0.5:0 --to onnx --out small.onnx
"""


@app.command(epilog=EXAMPLES)
def export(
    run: RunFolder,
    point: Annotated[
        str, typer.Option(help="The start of a digest, or method:level:seed (l1-filter:0.5:0).")
    ],
    to: Annotated[Target, typer.Option(help="The kind of file.")] = "safetensors",
    out: Annotated[
        Path | None, typer.Option(help="The file; RUN/exports/METHOD-LEVEL-SEED.* by default.")
    ] = None,
) -> None:
    """Write a point's network to a file, its empty channels taken out.

    The safetensors file is loaded by secateur.load; ONNX and pt2 run without secateur.
    """
    store = Store(run)
    chosen = find(store, point)
    study = check_study(store.settings, str(run))
    _check_rebuildable(study, run)
    target = out or run / "exports" / f"{_file_name(chosen)}.{to}"
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(store, study, chosen, to, target)
    typer.echo(f"{chosen.method} {chosen.level_name} seed {chosen.seed}: {target}")
    typer.echo(f"{target.stat().st_size:,} bytes")


def find(store: Store, wanted: str) -> Point:
    """The point that a digest prefix or `method:level:seed` means.

    Raises:
        UsageError: None does, or several do.
    """
    points = store.points()
    named = [p for p in points if _name(p) == wanted]
    found = named or [p for p in points if len(wanted) >= 4 and p.digest.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    names = [f"{_name(p)} ({p.digest[:8]})" for p in found] or [_name(p) for p in points]
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    raise UsageError(
        "choosing a point",
        "--point",
        given=f"{wanted!r}, which means {len(found)} of {len(points)} points",
        expected=f"one of {', '.join(names[:_LISTED])}{more}",
        remedy=f"`secateur frontier {store.folder} --json` lists them with their digests.",
    )


def _name(point: Point) -> str:
    return f"{point.method}:{point.level_name}:{point.seed}"


def _file_name(point: Point) -> str:
    level = point.level_name.replace("/", "+")
    return "-".join(part for part in (point.method, level.strip("-"), str(point.seed)) if part)


def _check_rebuildable(study: StudySpec, run: Path) -> None:
    for what, name in (("network", study.model.name), ("data", study.data.name)):
        if name == GIVEN:
            raise StoreError(
                "exporting a point",
                str(run),
                given=f"a study whose {what} was given in Python",
                expected="one that names it",
                remedy="Build the net in Python, load the point's weights, and secateur.save it.",
            )


def _write(store: Store, study: StudySpec, point: Point, to: Target, target: Path) -> None:
    import secateur.data
    from secateur import models
    from secateur.artifact.export import export_onnx, export_pt2
    from secateur.pruning.masks import Masks
    from secateur.study.checkpoint import load_checkpoint
    from secateur.study.handover import compaction_of, write_artifact

    data: ImageData = secateur.data.load(study.data.name, **study.data.options)
    net = models.build(study.model.name, data.shape, data.classes, **study.model.options)
    state, held = load_checkpoint(store.checkpoint(point.digest))
    net.load_state_dict(state)
    net.eval()
    masks = held or Masks({})
    example = data.example(2).cpu()
    compaction = compaction_of(net, masks, example)
    if isinstance(compaction, ChannelError):
        typer.echo(f"Channels stay, as zeros: {compaction}", err=True)
    small = net if isinstance(compaction, ChannelError) else compaction.model.eval()
    if to == "onnx":
        export_onnx(small, example, target, metadata={"secateur": _name(point)})
    elif to == "pt2":
        export_pt2(small, example, target)
    else:
        write_artifact(target, study, point, net, masks, compaction, data, example)
