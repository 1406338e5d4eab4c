"""`secateur doctor`: whether this machine can prune, and whether a run folder is sound."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from secateur.cli.app import app
from secateur.cli.checkup import Finding, checkup
from secateur.cli.run_checkup import mend, run_checkup

_MARKS = {"ok": " ", "missing": "-", "broken": "!"}
_BROKEN = 1

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur doctor
  secateur doctor --json | jq '.findings[] | select(.state != "ok")'
  secateur doctor runs/demo
  secateur doctor runs/demo --repair
"""


@app.command(epilog=EXAMPLES)
def doctor(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="A run folder to look through instead.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where runs are going to be written.")] = Path("runs"),
    repair: Annotated[
        bool | None,
        typer.Option(help="Mend a run folder, or leave it; asked on a terminal by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every finding, as JSON.")] = False,
) -> None:
    """Show versions, devices, the sparse kernels, where data are, and what is broken.

    With RUN: look through that folder, every file, every row and the database, and mend what can
    be mended: a damaged store is kept beside a new one with all that can be read of it, and sums
    are noted where an older secateur did not. What has to be trained again is for the next sweep.

    Exit code 0: secateur can be used here, or the folder is sound; 1: something that it needs is
    broken, or the folder is damaged (after mending: still); 2: there is no run, or nothing of its
    store can be read. Nothing is downloaded, and without --repair nothing is changed.
    """
    if run is not None:
        _look_through(run, repair, as_json)
        return
    findings = checkup(out)
    broken = [each for each in findings if each.state == "broken"]
    if as_json:
        _print_json({"usable": not broken}, findings)
    else:
        _print(findings)
        typer.echo(f"Broken: {', '.join(each.name for each in broken)}" if broken else "Usable.")
    if broken:
        raise typer.Exit(_BROKEN)


def _look_through(run: Path, repair: bool | None, as_json: bool) -> None:
    """The checkup of a run folder."""
    found, done = run_checkup(run), []
    if not as_json:
        _print(found.findings)
    if found.mendable and _is_wanted(repair, as_json):
        done = mend(run)
        found = run_checkup(run)
        if not as_json:
            typer.echo("\n".join(["", *(f"Mended: {each}." for each in done), ""]))
            _print(found.findings)
    if as_json:
        told = {"sound": found.sound, "mended": done, "checkpoints": dict(found.checkpoints)}
        _print_json(told, found.findings)
    else:
        typer.echo("Sound." if found.sound else "Damaged.")
    if not found.sound:
        raise typer.Exit(_BROKEN)


def _is_wanted(repair: bool | None, as_json: bool) -> bool:
    if repair is not None or as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return bool(repair)
    return typer.confirm("Mend what can be mended? What is damaged is kept beside it.")


def _print_json(values: Mapping[str, Any], findings: Iterable[Finding]) -> None:
    told = {**values, "findings": [asdict(each) for each in findings]}
    typer.echo(json.dumps(told, indent=2))


def _print(findings: Sequence[Finding]) -> None:
    width = max(len(each.name) for each in findings)
    for section, those in groupby(findings, key=lambda each: each.section):
        typer.echo(f"{section}:")
        for each in those:
            typer.echo(f"{_MARKS[each.state]} {each.name.ljust(width)}  {each.value}")
            if each.state != "ok" and each.remedy:
                typer.echo(f"  {''.ljust(width)}  {each.remedy}")
    typer.echo("\n- can be done without   ! is needed")
