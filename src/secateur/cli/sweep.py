"""`secateur sweep`: run a study, or go on with one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from secateur.cli.announcement import announcement
from secateur.cli.app import app
from secateur.cli.frontier import draw, print_frontier, tell_failures
from secateur.cli.names import StudyFile, data_sets
from secateur.cli.names import methods as method_names
from secateur.cli.names import models as model_names
from secateur.cli.places import CpusPerRun, Device, GpusPerRun, Ray, Threads, Timeout, Workers
from secateur.cli.progress import Progress, best_so_far
from secateur.cli.stopping import TERMINATED, Terminated, terminable
from secateur.errors import UsageError
from secateur.pruning.method import spelt_out
from secateur.registry import METHODS, TRACKERS, current_folder_importable
from secateur.report import page
from secateur.spec import FILES, StudySpec, check_study
from secateur.study import presets
from secateur.study.damage import DamageWarning
from secateur.study.folder import check_folder
from secateur.study.observer import Several, Silent
from secateur.study.setting_words import difference
from secateur.study.store import Store
from secateur.tracking.observer import TrackingObserver

Text = str | None
FAILED, INTERRUPTED = 1, 130
_DIGITS = 100


# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur sweep
  secateur sweep study.toml --seeds 3 --out runs/mine
  secateur sweep study.toml --track mlflow --track tensorboard
  secateur sweep study.toml --ray auto --gpus-per-run 0.5
  secateur sweep study.toml --shared --out /mnt/all/runs/mine
  secateur sweep --model lenet-300-100 --methods magnitude,dense --levels 0.9,0.99
"""


@app.command(epilog=EXAMPLES)
def sweep(
    study: StudyFile = "demo",
    model: Annotated[
        Text,
        typer.Option(
            help="A reference net, or package.module:function.", autocompletion=model_names
        ),
    ] = None,
    data: Annotated[
        Text, typer.Option(help="A data set; see `secateur data`.", autocompletion=data_sets)
    ] = None,
    methods: Annotated[
        Text,
        typer.Option(
            help="Only these, with commas: magnitude,l1-filter; all-weights: every one of them.",
            autocompletion=method_names,
        ),
    ] = None,
    levels: Annotated[
        Text,
        typer.Option(
            help="For every method, with commas: 0.5,0.9; combined takes 0.5/0.9; "
            "by pattern: 'conv*=0.5;fc=0.9'.",
        ),
    ] = None,
    exclude: Annotated[
        Text, typer.Option(help="Layers to leave alone, with commas: fc,features.*,Conv1d.")
    ] = None,
    only: Annotated[Text, typer.Option(help="Layers to cut, likewise.")] = None,
    prunable: Annotated[
        Text, typer.Option(help="Parameters that count as weights too, likewise.")
    ] = None,
    max_sparsity: Annotated[
        Text, typer.Option(help="Of any layer: 0.95, or by pattern: 'conv1=0.5;*=0.95'.")
    ] = None,
    protected: Annotated[
        float | None,
        typer.Option(help="The share of every layer's channels that stay: 0.1.", min=0, max=1),
    ] = None,
    checkpoint: Annotated[
        Text, typer.Option(help="Weights that the dense net starts from: .safetensors or .pt.")
    ] = None,
    scores: Annotated[
        Text, typer.Option(help="A safetensors file of scores, instead of the criteria.")
    ] = None,
    masks: Annotated[
        Text, typer.Option(help="A safetensors file of masks (bool, True = kept) to start from.")
    ] = None,
    base_epochs: Annotated[int | None, typer.Option(help="Of the dense net.")] = None,
    retrain_epochs: Annotated[
        int | None, typer.Option(help="Of each level, or of each point where the budget is total.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="level: each level retrains alike; total: each point has the same epochs in all.",
            autocompletion=lambda: ["level", "total"],
        ),
    ] = None,
    seeds: Annotated[Text, typer.Option(help="How many (3), or which (0,5,7).")] = None,
    device: Device = "auto",
    devices: Annotated[
        int | None,
        typer.Option(help="Processes that train one net together, each on a device of its own."),
    ] = None,
    workers: Workers = None,
    threads: Threads = None,
    timeout: Timeout = None,
    ray: Ray = None,
    cpus_per_run: CpusPerRun = 1.0,
    gpus_per_run: GpusPerRun = 0.0,
    timing: Annotated[bool, typer.Option(help="Measure latencies once every run is done.")] = True,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME by default.")] = None,
    shared: Annotated[
        bool,
        typer.Option("--shared", help="Share the run folder with other sweeps that say so, too."),
    ] = False,
    copy_to: Annotated[
        Text,
        typer.Option(
            metavar="ADDRESS",
            help="Copy checkpoints as they are made, and in the end the folder: s3://bucket/mine.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Nothing but errors and the table at the end.")
    ] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Show it in {' or '.join(TRACKERS)} too; may be given twice.",
            autocompletion=lambda: list(TRACKERS),
        ),
    ] = None,
) -> None:
    """Prune a network by several methods under one audited budget.

    Without a study, the embedded `demo` runs: minutes on two cores. A sweep that was stopped goes
    on where it was when the same command is given again.
    """
    spec = overridden(
        presets.read(study),
        study,
        {
            "model": model,
            "data": data,
            "methods": methods,
            "levels": levels,
            "exclude": exclude,
            "only": only,
            "prunable": prunable,
            "max_sparsity": max_sparsity,
            "protected": protected,
            "scores": scores,
            "masks": masks,
            "checkpoint": checkpoint,
            "base_epochs": base_epochs,
            "retrain_epochs": retrain_epochs,
            "budget": budget,
            "devices": devices,
            "seeds": seeds,
        },
    )
    folder = out or Path("runs") / spec.name
    _check_folder(spec, folder)
    if said := announcement(spec, study):
        typer.echo(f"Note: {said}", err=True)
    # torch is loaded only once the words are known to be right.
    from secateur.remote.copy import RemoteCopy
    from secateur.study.executors.ray import RayCluster
    from secateur.study.sweep import run_study

    executor = RayCluster(ray, cpus_per_run, gpus_per_run) if ray else None
    tracking = TrackingObserver(track or (), folder, partial(typer.echo, err=True))
    copying = RemoteCopy(folder, copy_to) if copy_to is not None else None
    progress = None if quiet else Progress(best=partial(best_so_far, folder))
    try:
        with (
            terminable(),
            current_folder_importable(),
            notes() as remade,
            progress or nullcontext(),
            tracking,
            copying or nullcontext(),
        ):
            told = Several(tracking, progress or Silent(), copying or Silent())
            run_study(
                spec,
                folder,
                device=device,
                workers=workers,
                threads=threads,
                timing=timing,
                shared=shared,
                timeout=timeout,
                executor=executor,
                observer=told,
            )
    except KeyboardInterrupt as stopped:
        typer.echo(f"Stopped. The same command goes on where it was: {folder}", err=True)
        raise typer.Exit(TERMINATED if isinstance(stopped, Terminated) else INTERRUPTED) from None
    store = Store(folder)
    if store.points():
        print_frontier(store)
        draw(store, quiet)
        if not quiet:
            typer.echo(f"Store: {folder}   again: secateur frontier {folder}")
            for place in tracking.where:
                typer.echo(place)
    written = page.write(store)
    if store.points() and not quiet:
        typer.echo(f"Page: {written}")
    if copying:
        new = copying.finish()
        typer.echo(f"Copy: {copying.remote.shown} ({new} files at its end)", err=quiet)
    failed = {title for title, _ in store.failures()}
    if again := [title for title in remade if title not in failed]:
        typer.echo(f"Made again, their checkpoints were lost: {', '.join(again)}", err=True)
    if failed:
        tell_failures(store)
        raise typer.Exit(FAILED)


@contextmanager
def notes() -> Iterator[list[str]]:
    """Show what a sweep warns of as a line for its reader, and not as one of Python's.

    Yields:
        The titles of the runs that are made again because their checkpoints were lost.
    """
    from secateur.verbs.left_out import CutWarning  # it loads torch

    remade: list[str] = []
    with warnings.catch_warnings():
        for kind in (CutWarning, DamageWarning):
            warnings.simplefilter("always", kind)
        plainly = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if isinstance(message, CutWarning | DamageWarning):
                typer.echo(f"Note: {message}", err=True)
                remade.extend(getattr(message, "titles", ()))
            else:
                plainly(message, category, *place)

        warnings.showwarning = show  # type: ignore[assignment]
        yield remade


def _check_folder(spec: StudySpec, folder: Path) -> None:
    """Refuse a folder that holds a study of another network or of other data.

    `--model` changes a study and not its name: without this, two networks would share a folder.

    Raises:
        UsageError: It does; nothing was written.
    """
    check_folder(folder)
    if not os.path.exists(folder / "study.sqlite"):
        return
    store = Store(folder)
    held = store.settings if store.points() else {}
    asked = spec.model_dump(mode="json")
    for option in ("model", "data"):
        if held and held.get(option) != asked[option]:
            there, wanted = difference(held.get(option), asked[option])
            raise UsageError(
                "choosing the run folder",
                str(folder),
                given=f"a folder with a study of the {option} {there}",
                expected=f"a study of {wanted}, or none",
                remedy="Name another folder with --out, or give the study that the folder holds.",
            )


def overridden(spec: StudySpec, source: str, options: dict[str, Any]) -> StudySpec:
    """The study with the command line's options in place of its own."""
    given = {name: value for name, value in options.items() if value is not None}
    values = spec.model_dump(mode="json", exclude_unset=True)
    for name in ("model", "data"):
        if name in given and given[name] != values.get(name, {}).get("name"):
            values[name] = {"name": given[name]}
    if "checkpoint" in given:
        values["base"] = {"checkpoint": given["checkpoint"]}
    for name in ("base_epochs", "retrain_epochs", "budget", "devices"):
        if name in given:
            values.setdefault("training", {})[name] = given[name]
    if "methods" in given:
        wanted = spelt_out(_words(given["methods"]))
        own = values.get("methods", {})
        values["methods"] = {METHODS.check(name): own.get(name, {}) for name in wanted}
    readers: dict[str, Callable[[str], object]] = {
        "levels": _levels,
        **dict.fromkeys(("exclude", "only", "prunable"), _words),
        **dict.fromkeys(("max_sparsity", *FILES), str),
        "protected": float,
    }
    for name, read in readers.items():
        if name in given:
            values[name] = read(given[name])
            for method in values["methods"].values():
                method.pop(name, None)
    if "seeds" in given:
        values["seeds"] = _seeds(given["seeds"])
    return check_study(values, "the options" if given else source)


def _levels(text: str) -> list[str]:
    """An empty one among them is left for the check to refuse."""
    return text.split(",")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _seeds(text: str) -> object:
    """`3` is a number of seeds, `0,5,7` a list; anything else is left for the check to refuse."""
    if _is_count(text):
        return int(text)
    return [int(part) if _is_count(part) else part for part in text.split(",")]


def _is_count(text: str) -> bool:
    return text.strip().isdecimal() and len(text) < _DIGITS
