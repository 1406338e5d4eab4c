"""The command-line application that every command joins."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    name="secateur",
    help="Prune a network by several methods under one audited budget, and draw the frontier.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"secateur {version('secateur')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    pass
