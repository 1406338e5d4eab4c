"""`secateur export`: a point of a study as a file that outlives it."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from secateur.artifact.manifest import Source
from secateur.cli.app import app
from secateur.cli.names import RunFolder
from secateur.errors import ChannelError, StoreError, UsageError
from secateur.foundation.atomic_write import no_target
from secateur.point import Point
from secateur.registry import DATASETS, MODELS
from secateur.spec import GIVEN, StudySpec, check_study
from secateur.study import presets
from secateur.study.decoding import damaged
from secateur.study.folder import component, inside
from secateur.study.own_word import is_harmless
from secateur.study.store import Store

if TYPE_CHECKING:
    from secateur.data.data import Data

Target = Literal["safetensors", "onnx", "pt2"]
_LISTED = 8
_LARGEST = 1 << 16
_AXES = 8
_DIGITS = 8

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur export runs/demo --point magnitude:0.9:0
  secateur export runs/demo --point l1-filter:0.5:0 --to onnx --out small.onnx
  secateur export runs/mine --point magnitude:0.9:0 --model mynets:build
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
    model: Annotated[
        str | None,
        typer.Option(
            help="Your own net: package.module:function. Nothing that a run folder names is run."
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Or the study file that was swept, for the net's options.")
    ] = None,
) -> None:
    """Write a point's network to a file, its empty channels taken out.

    The safetensors file is loaded by secateur.load; ONNX and pt2 run without secateur. A net of
    your own is built by the function that you name here or in the study file.
    """
    store = Store(run)
    chosen = find(store, point)
    spec = check_study(store.settings, str(run), trusted=False)
    _check_rebuildable(spec, run)
    own = None if study is None else presets.read(study)
    source = source_of(store, spec, model, own)
    target = out or inside(run, "exports", f"{_file_name(chosen)}.{to}")
    _check_target(target)
    _make_folder(target.parent)
    _write(store, spec, source, own, chosen, to, target)
    typer.echo(f"{chosen.method} {chosen.level_name} seed {chosen.seed}: {target}")
    typer.echo(f"{target.stat().st_size:,} bytes")


def _check_target(target: Path) -> None:
    """Find it wrong before a net is built for it."""
    if found := no_target(target):
        raise UsageError(
            "exporting a point",
            str(target),
            given=found,
            expected="a file, or nothing",
            remedy="Name another file with --out; nothing was written.",
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            "exporting a point",
            str(folder),
            given=f"not writable ({error.strerror})",
            expected="a folder in which the file can be made",
            remedy="Name another file with --out.",
        ) from None


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
    """A name for the file; a level with patterns in it is spelt, and told apart by the digest."""
    said = point.level_name.replace("/", "+").strip("-")
    level = re.sub(r"[^A-Za-z0-9.+_-]+", "-", said).strip("-")
    method = component(point.method, "the method")
    own = "" if level == said else point.digest[:_DIGITS]
    return "-".join(part for part in (method, level, str(point.seed), own) if part)


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


def source_of(store: Store, study: StudySpec, model: str | None, own: StudySpec | None) -> Source:
    """What builds a point's network, by the user's word or by that of our registry.

    Args:
        store: Of the run folder.
        study: What the store says that was swept: data, and never a reason to run anything.
        model: The builder that the user names.
        own: The user's own study file.

    Raises:
        UsageError: The store names a function, and the user none; or the study file is of
            another network.
        StoreError: The store does not say what its data were like, or options of a builder are
            no plain numbers and words.
    """
    if own is not None and (own.model != study.model or own.data != study.data):
        raise UsageError(
            "exporting a point",
            "--study",
            given=f"of the model {own.model.name!r} and the data {own.data.name!r}",
            expected=f"{study.model.name!r} and {study.data.name!r}, which {store.folder} holds",
            remedy="Pass the study file that was swept.",
        )
    name = model or (own or study).model.name
    if model is None and own is None and name not in MODELS:
        raise UsageError(
            "exporting a point",
            "the builder of the network",
            given=f"{name!r}, by the word of {store.folder} alone",
            expected="your own word for it: what a run folder names is never imported",
            remedy="Pass --model package.module:function, or the study file with --study.",
        )
    traits = _traits_of(store, own or study, own)
    if name in MODELS and (len(traits.get("shape", ())) != 3 or not traits.get("classes")):
        raise damaged("the note of its data", "of no images and classes, for a reference net")
    options = study.model.options if own is None else own.model.options
    if own is None and not all(is_harmless(value) for value in options.values()):
        raise StoreError(
            "exporting a point",
            "an option of the network",
            given="text of the run folder that may be a path",
            expected="numbers and plain words",
            remedy="Pass the study file that was swept with --study.",
        )
    shape, classes = list(traits.get("shape", ())), traits.get("classes", 0)
    return Source(name=name, shape=shape, classes=classes, options=options)


def _traits_of(store: Store, study: StudySpec, own: StudySpec | None) -> dict[str, Any]:
    """All that a network is built for: by the store, else by the user's own data."""
    facts = store.value("data")
    if facts is None and not study.data.options and study.data.name in DATASETS:
        # An older secateur did not note it; without options nothing of the store is a path.
        import secateur.data

        data: Data = secateur.data.load(study.data.name)
        return data.traits()
    held = facts if isinstance(facts, dict) else {}
    shape, classes = held.get("shape"), held.get("classes", 0)
    sizes = shape if isinstance(shape, list) else []
    whole = all(type(size) is int and 0 < size <= _LARGEST for size in sizes)
    whole = whole and type(classes) is int and 0 <= classes <= _LARGEST
    if 0 < len(sizes) <= _AXES and whole and prod(sizes) <= _LARGEST**2:
        return {"shape": tuple(sizes), **({"classes": classes} if classes else {})}
    if own is not None:
        return _data_of(own).traits()
    raise damaged(
        "the note of its data",
        "without the one shape of all examples; `--study` with your own study file reads the data",
    )


def _data_of(study: StudySpec) -> Data:
    """The data of the user's own study file."""
    import secateur.data

    found: Data = secateur.data.load(study.data.name, **study.data.options)
    return found


def _write(
    store: Store,
    study: StudySpec,
    source: Source,
    own: StudySpec | None,
    point: Point,
    to: Target,
    target: Path,
) -> None:
    import torch

    from secateur import models
    from secateur.artifact.export import export_onnx, export_pt2
    from secateur.pruning.masks import Masks
    from secateur.study.checkpoint import check_shapes, restore
    from secateur.study.point_artifact import compaction_of, write_artifact

    images = len(source.shape) == 3 and source.classes > 0
    data = None if images or own is None else _data_of(own)
    shape = tuple(source.shape)
    traits = {"shape": shape, **({"classes": source.classes} if source.classes else {})}
    if data is not None:
        traits = data.traits()
    weights, known = store.checkpoint(point.digest), store.sum(point.digest)
    if source.name in MODELS:
        # Without memory first: a store may name a shape that no machine has room for.
        with torch.device("meta"):
            net = models.build_for(source.name, traits, source.options)
        check_shapes(net, weights, known)
    net = models.build_for(source.name, traits, source.options)
    masks = restore(net, weights, known) or Masks({})
    net.eval()
    if data is None:
        example = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    else:
        example = data.example(2)
    compaction = compaction_of(net, masks, example)
    if isinstance(compaction, ChannelError):
        typer.echo(f"Channels stay, as zeros: {compaction}", err=True)
    small = net if isinstance(compaction, ChannelError) else compaction.model.eval()
    if to == "onnx":
        export_onnx(small, example, target, metadata={"secateur": _name(point)})
    elif to == "pt2":
        export_pt2(small, example, target)
    else:
        write_artifact(target, study.name, source, point, net, masks, compaction, example)
