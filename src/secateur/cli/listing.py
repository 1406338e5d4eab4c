"""`secateur methods|models|data|studies`: what there is to choose from."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.names import study_names
from secateur.registry import DATASETS, METHODS, MODELS, Registry
from secateur.study import presets as embedded

# The first line of each keeps the paragraph from being wrapped.
EXAMPLES = {
    "methods": """\b
Examples:
  secateur methods
  secateur sweep --methods magnitude,l1-filter,dense
""",
    "models": """\b
Examples:
  secateur models
  secateur sweep --model lenet-300-100
  secateur sweep --model package.module:function
""",
    "data": """\b
Examples:
  secateur data
  secateur sweep --data mnist
""",
    "studies": """\b
Examples:
  secateur studies
  secateur studies demo > study.toml
  secateur sweep study.toml
""",
}


@app.command(epilog=EXAMPLES["methods"])
def methods() -> None:
    """List the pruning methods and the controls."""
    _rows([(name, METHODS[name].summary, METHODS[name].source) for name in METHODS])


@app.command(epilog=EXAMPLES["models"])
def models() -> None:
    """List the reference nets; a net of your own is `package.module:function`."""
    _rows(_summaries(MODELS))


@app.command(epilog=EXAMPLES["data"])
def data() -> None:
    """List the data sets."""
    _rows(_summaries(DATASETS))


@app.command(epilog=EXAMPLES["studies"])
def studies(
    name: Annotated[
        str,
        typer.Argument(
            help="Print this one, to start your own study file from.", autocompletion=study_names
        ),
    ] = "",
) -> None:
    """List the embedded studies, or print one."""
    if name:
        typer.echo(embedded.text(name), nl=False)
        return
    _rows([(each, embedded.text(each).splitlines()[0].lstrip("# ")) for each in embedded.names()])


def _summaries(registry: Registry) -> list[tuple[str, ...]]:
    return [
        (name, (inspect.getdoc(registry[name]) or "").splitlines()[0].strip()) for name in registry
    ]


def _rows(rows: list[tuple[str, ...]]) -> None:
    width = max(len(row[0]) for row in rows) + 2
    for name, *texts in rows:
        typer.echo(name.ljust(width) + "  ".join(texts))
