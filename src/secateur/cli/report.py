"""`secateur report`: the study's page, in one file."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.names import RunFolders
from secateur.errors import UsageError
from secateur.report import page
from secateur.study.store import Store

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur report runs/demo                     # runs/demo/report.html
  secateur report runs/demo --out demo.html     # a file to send to a colleague
  secateur report runs/a runs/b --out both.html # several studies in one page
"""

_SUFFIXES = ("", ".html", ".htm")


@app.command(epilog=EXAMPLES)
def report(
    run: RunFolders,
    out: Annotated[
        Path | None, typer.Option(help="The file; report.html in the run folder by default.")
    ] = None,
) -> None:
    """Write a study's page: one HTML file that opens offline.

    What one gains by the pick, the frontier on any axes, the pick under a floor, every point with
    its layers, budget and curves. The study may be unfinished; a sweep writes the page at its end
    by itself.

    Several studies share a page: a table of what each one's pick gains, and any of them with the
    others' frontiers behind it.
    """
    _check(run, out)
    path = page.write([Store(folder) for folder in run], out)
    typer.echo(f"Page: {path} ({path.stat().st_size:,} bytes)")


def _check(folders: list[Path], out: Path | None) -> None:
    """Each study once, and a place for the page of several that is a page's.

    Raises:
        UsageError: A folder is named twice, no file is, or one of another kind.
    """
    seen = [folder.resolve() for folder in folders]
    again = next((one for i, one in enumerate(folders) if seen[i] in seen[:i]), None)
    if again is not None:
        raise UsageError(
            "writing the page",
            str(again),
            given="twice",
            expected="each run folder once",
            remedy="Leave one of them out.",
        )
    if out is not None and out.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            "writing the page",
            str(out),
            given=f"a name that ends in {out.suffix}",
            expected="one in .html: a page is a document for a browser",
            remedy="End --out in .html; `secateur figure` writes .png, .svg and .pdf.",
        )
    if len(folders) > 1 and out is None:
        raise UsageError(
            "writing the page",
            "--out",
            given=f"not given, for {len(folders)} studies",
            expected="a file, for the page lies in no study's folder alone",
            remedy=f"For example: secateur report {' '.join(map(quote, map(str, folders)))} "
            "--out studies.html",
        )
