"""`secateur fetch`: a run folder, from the address that a sweep copied it to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from secateur.cli.app import app

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur fetch s3://bucket/mine runs/mine
  secateur fetch file:///mnt/all/mine runs/mine && secateur frontier runs/mine
"""


@app.command(epilog=EXAMPLES)
def fetch(
    address: Annotated[
        str, typer.Argument(help="What the sweep was told by --copy-to.", show_default=False)
    ],
    run: Annotated[
        Path, typer.Argument(help="The run folder; made, or gone on with.", show_default=False)
    ],
) -> None:
    """Fetch a run folder that `secateur sweep --copy-to` copied, every file compared with its sum.

    A fetch that was stopped goes on when the same command is given again, and so does a sweep in
    the folder that was fetched.
    """
    from secateur.remote.fetch import fetch_run  # fsspec is loaded only here

    found = fetch_run(address, run)
    typer.echo(f"Run: {run} ({found.files} files, {found.new} of them fetched)")
