"""`secateur export-table`: the points of a study for a spreadsheet or a data frame."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from secateur.cli.app import app
from secateur.cli.names import RunFolder
from secateur.errors import UsageError
from secateur.report.export_table import FORMATS, format_of
from secateur.report.file import write_whole
from secateur.study.int8_points import shown_points
from secateur.study.store import Store
from secateur.study.study import CONTROLS

Target = Literal["csv", "parquet", "json"]

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur export-table runs/demo > points.csv
  secateur export-table runs/demo --out points.parquet
  secateur export-table runs/demo --to json | jq '.[] | {method, level, test_accuracy}'
"""


@app.command("export-table", epilog=EXAMPLES)
def export_table(
    run: RunFolder,
    to: Annotated[
        Target | None, typer.Option(help="By the suffix of --out if it is not given; else csv.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file; without it the table is printed.")
    ] = None,
) -> None:
    """Write every point as one row of a table.

    Every share stands beside its integers, times are in seconds. `val_` is validation data, `test_`
    test data, scored once.
    """
    target = format_of(out, to) if out else to or "csv"
    if target == "parquet" and out is None:
        raise UsageError(
            "writing Parquet",
            "--out",
            given="not given",
            expected="a file: Parquet is no text",
            remedy="For example: --out points.parquet.",
        )
    content = FORMATS[target](shown_points(Store(run)), CONTROLS)
    if out is None:
        typer.echo(content.decode(), nl=False)
        return
    typer.echo(f"Table: {write_whole(out, content, 'writing a table')}")
