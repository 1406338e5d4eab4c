"""`secateur tune`: search a study's settings, or go on with that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from secateur.cli.app import app
from secateur.cli.names import StudyFile
from secateur.cli.places import CpusPerRun, Device, GpusPerRun, Ray, Threads, Timeout, Workers
from secateur.cli.printing import print_table
from secateur.cli.stopping import TERMINATED, Terminated, terminable
from secateur.cli.sweep import FAILED, INTERRUPTED, notes, overridden
from secateur.foundation.toml_file import read_toml
from secateur.registry import current_folder_importable
from secateur.report import page
from secateur.report.tuning import audit_words, setting_text, tuning_table, value_text
from secateur.spec import StudySpec, check_study
from secateur.study import presets
from secateur.study.store import Store
from secateur.tuning.best import FILE
from secateur.tuning.record import TrialRecord, TuningRecord

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur tune --trials 20
  secateur tune study.toml --trials 50 --seconds 3600 --out runs/mine-tuning
  secateur tune study.toml --search space.toml --what recipe
  secateur sweep runs/mine-tuning/best.toml
"""


@app.command(epilog=EXAMPLES)
def tune(
    study: StudyFile = "demo",
    out: Annotated[
        Path | None, typer.Option(help="Run folder; runs/NAME-tuning by default.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Until so many have ended, earlier ones included; 20.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="After so many no trial is begun.")
    ] = None,
    search: Annotated[
        Path | None,
        typer.Option(help="A TOML file with the [tune] table, instead of the study's own."),
    ] = None,
    what: Annotated[
        str | None,
        typer.Option(
            help="base: the dense net's training; recipe: the retraining of cut nets.",
            autocompletion=lambda: ["base", "recipe"],
        ),
    ] = None,
    pruner: Annotated[
        str | None,
        typer.Option(
            help="End trials early that do worse: none, median or halving.",
            autocompletion=lambda: ["none", "median", "halving"],
        ),
    ] = None,
    base_epochs: Annotated[int | None, typer.Option(help="Of the dense net.")] = None,
    retrain_epochs: Annotated[int | None, typer.Option(help="Of a recipe's cut nets.")] = None,
    seeds: Annotated[str | None, typer.Option(help="How many (3), or which (0,5,7).")] = None,
    device: Device = "auto",
    workers: Workers = None,
    threads: Threads = None,
    timeout: Timeout = None,
    ray: Ray = None,
    cpus_per_run: CpusPerRun = 1.0,
    gpus_per_run: GpusPerRun = 0.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything found and consumed, on standard output.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Nothing but errors and the table at the end.")
    ] = False,
) -> None:
    """Search the settings of a study's training, and write the study with the best of them.

    Validation data alone choose. A search that was stopped, or killed, goes on where it was when
    the same command is given again. The run folder's best.toml is a study for `secateur sweep`,
    and its page shows the trials with all that they consumed.
    """
    changes = {"base_epochs": base_epochs, "retrain_epochs": retrain_epochs, "seeds": seeds}
    spec = overridden(presets.read(study), study, changes)
    spec = _searched(spec, search, {"what": what, "pruner": pruner, "trials": trials})
    folder = out or Path("runs") / f"{spec.name}-tuning"
    # torch is loaded only once the words are known to be right.
    from secateur.study.executors.ray import RayCluster
    from secateur.tuning.tune import tune_study

    def tell(record: TuningRecord, ended: Sequence[TrialRecord]) -> None:
        page.write(Store(folder))
        if not quiet:
            for trial in ended:
                typer.echo(_line(record, trial), err=True)

    try:
        with terminable(), current_folder_importable(), notes():
            record = tune_study(
                spec,
                folder,
                seconds=seconds,
                device=device,
                workers=workers,
                threads=threads,
                timeout=timeout,
                executor=RayCluster(ray, cpus_per_run, gpus_per_run) if ray else None,
                tell=tell,
            )
    except KeyboardInterrupt as stopped:
        typer.echo(f"Stopped. The same command goes on where it was: {folder}", err=True)
        raise typer.Exit(TERMINATED if isinstance(stopped, Terminated) else INTERRUPTED) from None
    written = page.write(Store(folder))
    if as_json:
        typer.echo(json.dumps(record.to_dict(), indent=2))
    else:
        print_table(tuning_table(record))
        typer.echo(audit_words(record))
    if not quiet and not as_json:
        typer.echo(f"Page: {written}")
        if record.best is not None:
            typer.echo(f"Study: secateur sweep {folder / FILE}")
    if record.trials and record.best is None:
        raise typer.Exit(FAILED)


def _searched(spec: StudySpec, search: Path | None, options: dict[str, Any]) -> StudySpec:
    """The study with a file's `[tune]` and the command line's options in place of its own."""
    values = spec.model_dump(mode="json", exclude_unset=True)
    if search is not None:
        found = read_toml(search)
        values["tune"] = found.get("tune", found)
        check_study(values, str(search))
    given = {name: value for name, value in options.items() if value is not None}
    values["tune"] = {**(values.get("tune") or {}), **given}
    return check_study(values, "the options")


def _line(record: TuningRecord, trial: TrialRecord) -> str:
    settings = (f"{name} {setting_text(value)}" for name, value in trial.settings.items())
    value = trial.reason or f"{record.label} {value_text(record, trial.value)}"
    best = " (best)" if trial == record.best else ""
    return (
        f"[{trial.number + 1}/{record.wanted}] {value}{best}: {', '.join(settings)}; "
        f"{trial.epochs} epochs, {trial.seconds:.1f} s"
    )
