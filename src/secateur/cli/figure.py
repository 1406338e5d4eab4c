"""`secateur figure`: one figure of a study, for a paper or a slide."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.names import RunFolder, scores
from secateur.cli.names import methods as method_names
from secateur.report.figure import Picture, form_of
from secateur.report.plot import MEASURES, WIDTH, plot
from secateur.study.int8_points import shown_points
from secateur.study.store import Store
from secateur.study.study import CONTROLS

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur figure runs/demo --out frontier.pdf
  secateur figure runs/demo --x macs --y val_accuracy --out macs.svg
  secateur figure runs/demo --methods magnitude,slimming --width 3.3 --out column.pdf
"""


@app.command(epilog=EXAMPLES)
def figure(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="The file: .png, .svg or .pdf.")],
    x: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(MEASURES)}.", autocompletion=lambda: list(MEASURES)),
    ] = "sparsity",
    y: Annotated[
        str,
        typer.Option(
            help="val_accuracy, test_rmse, ...; the first score on test data if not given.",
            autocompletion=scores,
        ),
    ] = "",
    methods: Annotated[
        str,
        typer.Option(
            help="Only these, with commas; the dense net stays.", autocompletion=method_names
        ),
    ] = "",
    title: Annotated[str, typer.Option(help="Stands above the figure.")] = "",
    width: Annotated[float, typer.Option(help="In inches; a journal's column is 3.3.")] = WIDTH,
) -> None:
    """Draw a score against sparsity, MACs, bytes or latency.

    Direct labels, colours for the colour-blind, better to the right; the same points give the same
    bytes. Filled markers are on the frontier, which the validation score alone decides.
    """
    form_of(out)
    wanted = [name.strip() for name in methods.split(",") if name.strip()]
    points = shown_points(Store(run))
    shown = plot(points, x=x, y=y, controls=CONTROLS, methods=wanted, title=title, width=width)
    typer.echo(f"Figure: {Picture(shown).save(out)}")
