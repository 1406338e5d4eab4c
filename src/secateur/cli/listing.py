"""`secateur methods|models|data|studies`: what there is to choose from."""

from __future__ import annotations

import inspect

import typer

from secateur import studies as embedded
from secateur.cli.app import app
from secateur.registry import DATASETS, METHODS, MODELS, Registry


@app.command()
def methods() -> None:
    """List the pruning methods and the controls."""
    _rows([(name, METHODS[name].summary, METHODS[name].source) for name in METHODS])


@app.command()
def models() -> None:
    """List the reference nets; a net of your own is `package.module:function`."""
    _rows(_summaries(MODELS))


@app.command()
def data() -> None:
    """List the data sets."""
    _rows(_summaries(DATASETS))


@app.command()
def studies(
    name: str = typer.Argument("", help="Print this one, to start your own study file from."),
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
