"""`secateur doctor`: whether this machine can prune, and with what."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.checkup import Finding, checkup

_MARKS = {"ok": " ", "missing": "-", "broken": "!"}

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur doctor
  secateur doctor --json | jq '.findings[] | select(.state != "ok")'
"""


@app.command(epilog=EXAMPLES)
def doctor(
    out: Annotated[Path, typer.Option(help="Where runs are going to be written.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Every finding, as JSON.")] = False,
) -> None:
    """Show versions, devices, the sparse kernels, where data are, and what is broken.

    Exit code 0: secateur can be used here; 1: something that it needs is broken. Nothing is
    downloaded and nothing is left behind.
    """
    findings = checkup(out)
    broken = [each for each in findings if each.state == "broken"]
    if as_json:
        values = {"usable": not broken, "findings": [asdict(each) for each in findings]}
        typer.echo(json.dumps(values, indent=2))
    else:
        _print(findings)
        typer.echo(f"Broken: {', '.join(each.name for each in broken)}" if broken else "Usable.")
    if broken:
        raise typer.Exit(1)


def _print(findings: list[Finding]) -> None:
    width = max(len(each.name) for each in findings)
    for section, those in groupby(findings, key=lambda each: each.section):
        typer.echo(f"{section}:")
        for each in those:
            typer.echo(f"{_MARKS[each.state]} {each.name.ljust(width)}  {each.value}")
            if each.state != "ok" and each.remedy:
                typer.echo(f"  {''.ljust(width)}  {each.remedy}")
    typer.echo("\n- can be done without   ! is needed")
