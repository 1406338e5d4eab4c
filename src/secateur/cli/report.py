"""`secateur report`: the study's page, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.names import RunFolder
from secateur.report import page
from secateur.study.store import Store

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur report runs/demo                     # runs/demo/report.html
  secateur report runs/demo --out demo.html     # a file to send to a colleague
"""


@app.command(epilog=EXAMPLES)
def report(
    run: RunFolder,
    out: Annotated[
        Path | None, typer.Option(help="The file; report.html in the run folder by default.")
    ] = None,
) -> None:
    """Write a study's page: one HTML file that opens offline.

    The frontier on any axes, the pick under a floor, every point with its layers, budget and
    curves. The study may be unfinished; a sweep writes the page at its end by itself.
    """
    path = page.write(Store(run), out)
    typer.echo(f"Page: {path} ({path.stat().st_size:,} bytes)")
