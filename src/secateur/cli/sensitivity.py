"""`secateur sensitivity`: each layer of a study's dense net cut alone, without retraining."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secateur.cli.announcement import announcement
from secateur.cli.app import app
from secateur.cli.names import methods as method_names
from secateur.cli.names import run_folders
from secateur.cli.places import Device
from secateur.cli.printing import print_table
from secateur.errors import MaskError
from secateur.registry import current_folder_importable
from secateur.report.figure import form_of
from secateur.study import presets
from secateur.study.database import FILE
from secateur.study.folder import component, inside

if TYPE_CHECKING:
    from secateur.pruning.sensitivity import Sensitivity

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur sensitivity runs/demo
  secateur sensitivity study.toml --method l1-filter --levels 0.25,0.5,0.75
  secateur sensitivity runs/demo --within 0.01
  secateur sensitivity runs/demo --total 0.9 --json
"""


@app.command(epilog=EXAMPLES)
def sensitivity(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|STUDY", help="A run folder, or a study.", autocompletion=run_folders
        ),
    ],
    method: Annotated[
        str, typer.Option(help="A method that prunes.", autocompletion=method_names)
    ] = "magnitude",
    levels: Annotated[
        str, typer.Option(help="Sparsities, each of one layer, with commas.")
    ] = "0.25,0.5,0.75,0.9",
    seed: Annotated[int | None, typer.Option(help="Whose dense net; the study's first.")] = None,
    within: Annotated[
        float | None,
        typer.Option(help="Say the sparsities at which no layer loses more than this."),
    ] = None,
    total: Annotated[
        float | None,
        typer.Option(help="Say the gentlest sparsities at which this share of all weights goes."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A study's run folder; runs/NAME by default.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="The picture's file; RUN/figures/... by default.")
    ] = None,
    device: Device = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Plain values on standard output, and no picture.")
    ] = False,
) -> None:
    """Cut each layer of the dense net alone, without retraining, and score it on validation data.

    Shows where a net can lose weights and where not. Of a study without a run folder the dense net
    is trained first; a sweep goes on with it.
    """
    if figure is not None:
        form_of(figure)
    from secateur.study.sensitivity import study_in, study_sensitivity  # it loads torch

    if os.path.exists(Path(source) / FILE):
        folder, study = Path(source), study_in(Path(source))
    else:
        study = presets.read(source)
        folder = out or Path("runs") / study.name
        if said := announcement(study, source):
            typer.echo(f"Note: {said}", err=True)
    with current_folder_importable():
        found = study_sensitivity(study, folder, method, _numbers(levels), seed=seed, device=device)
    sparsities = None
    if within is not None or total is not None:
        sparsities = found.to_sparsities(within=within, total=total)
    if as_json:
        values = {**found.to_dict(), "sparsities": sparsities}
        typer.echo(json.dumps(values, indent=2))
        return
    _show(found, folder, figure)
    if sparsities is not None:
        typer.echo(f"A level of a study: {_level(sparsities)}")


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise MaskError(
            "measuring sensitivity",
            "--levels",
            given=f"{text!r:.60}",
            expected="numbers above 0 and below 1, with commas",
            remedy="Give 0.25,0.5,0.75, say.",
        ) from None


def _show(found: Sensitivity, folder: Path, figure: Path | None) -> None:
    from secateur.report.sensitivity import (
        SensitivityPicture,
        sensitivity_note,
        sensitivity_table,
    )

    print_table(sensitivity_table(found))
    typer.echo(sensitivity_note(found))
    name = component(f"sensitivity-{found.method.replace(':', '-')}", "the method")
    drawn = [inside(folder, "figures", f"{name}.{form}") for form in ("png", "svg")]
    picture = SensitivityPicture(found)
    for path in [figure] if figure else drawn:
        typer.echo(f"Figure: {picture.save(path)}")


def _level(sparsities: dict[str, float]) -> str:
    """A table of a study file."""
    rows = (f"{json.dumps(name)} = {share:g}" for name, share in sparsities.items())
    return "{ " + ", ".join(rows) + " }"
