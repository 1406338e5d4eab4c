"""`secateur methods|models|data|studies`: what there is to choose from."""

from __future__ import annotations

import inspect
import json
from typing import Annotated

import typer

from secateur.cli.app import app
from secateur.cli.names import methods as method_names
from secateur.cli.names import study_names
from secateur.pruning.method import FAMILIES, Method, find_method
from secateur.registry import DATASETS, METHODS, MODELS, Registry
from secateur.spec import own_options
from secateur.study import presets as embedded

# The first line of each keeps the paragraph from being wrapped.
EXAMPLES = {
    "methods": """\b
Examples:
  secateur methods
  secateur methods slimming
  secateur sweep --methods magnitude,l1-filter,dense
  secateur sweep --methods all-weights,random-weight
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
def methods(
    name: Annotated[
        str,
        typer.Argument(
            help="Show this one and its options; package.module:name for one of your own.",
            autocompletion=method_names,
        ),
    ] = "",
) -> None:
    """List the pruning methods and the controls, or show one with its options."""
    if name:
        _show_method(find_method(name))
        return
    known: dict[str, Method] = {each: METHODS[each] for each in METHODS}
    width = max(map(len, known)) + 2
    for number, (family, title) in enumerate(FAMILIES.items()):
        typer.echo(f"\n{title}" if number else title)
        own = [(each, one) for each, one in known.items() if one.family == family]
        _rows([(each, one.summary, one.source) for each, one in own], width)


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


def _show_method(method: Method) -> None:
    typer.echo(f"{method.name}: {method.summary}\n{method.source}\n")
    for part in method.parts:
        shared = part.allocation or part.ranking
        words = f"{part.criterion} x {part.granularity} x {part.scope} x {shared}"
        typer.echo(f"cuts      {words}, {method.schedule}")
    if method.prepare:
        typer.echo(f"prepares  {method.prepare.title}, {method.prepare.epochs} epochs")
    typer.echo(f"from      {METHODS.origin(method.name) if method.name in METHODS else 'a module'}")
    typer.echo("\noptions in a study file, and their defaults:")
    defaults = method.options().model_dump(mode="json")
    own = own_options(method.options)
    named = sorted(defaults.items(), key=lambda one: one[0] not in own)
    _rows([(option, json.dumps(value)) for option, value in named])


def _summaries(registry: Registry) -> list[tuple[str, ...]]:
    return [
        (name, (inspect.getdoc(registry[name]) or "").splitlines()[0].strip()) for name in registry
    ]


def _rows(rows: list[tuple[str, ...]], width: int = 0) -> None:
    width = width or max(len(row[0]) for row in rows) + 2
    for name, *texts in rows:
        typer.echo(name.ljust(width) + "  ".join(texts))
