"""`secateur watch`: the study's page in a browser, while the study runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.names import RunFolder
from secateur.errors import UsageError

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur watch runs/demo
  secateur watch runs/demo --port 9000 --open
  ssh -L 8765:127.0.0.1:8765 server     # then watch a study that runs there
"""


@app.command(epilog=EXAMPLES)
def watch(
    run: RunFolder,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Listen here; the first free one from 8765 on."),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = False,
) -> None:
    """Serve a study's page on 127.0.0.1, with every point as it lands.

    The folder need not exist yet, and the study may have ended long ago. Ctrl-C ends the watching
    with exit code 0; the study goes on.
    """
    _check_folder(run)
    from secateur.report.server import LivePage

    with LivePage(run, port) as page:
        typer.echo(f"Watching {run} at {page.url}   Ctrl-C ends the watching, not the study.")
        if not os.path.isfile(run / "study.sqlite"):
            typer.echo("There is no study in it yet: waiting for one.", err=True)
        if open_browser:
            _open(page.url)
        try:
            page.serve()
        except KeyboardInterrupt:
            return


def _check_folder(run: Path) -> None:
    """A folder that does not exist yet is waited for; what is none will never be one.

    Raises:
        UsageError: It is none.
    """
    if not os.path.exists(run) or os.path.isdir(run):
        return
    folder = run.parent if run.name == "study.sqlite" else "runs/NAME"
    raise UsageError(
        "watching a study",
        str(run),
        given="a file" if run.is_file() else "a pipe or a device",
        expected="the run folder of a study",
        remedy=f"Name the folder that `secateur sweep` writes: secateur watch {folder}.",
    )


def _open(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        typer.echo(f"No browser to open here: go to {url}", err=True)
