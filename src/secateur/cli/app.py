"""The command-line application that every command joins."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import secateur

# The first line keeps the paragraph from being wrapped.
EPILOG = """\b
Examples:
  secateur sweep                        the embedded study, minutes on two cores
  secateur watch runs/demo              its page in a browser, while it runs
  secateur frontier runs/demo           the table, and what is worth having
  secateur COMMAND --help               options and examples of a command

\b
Exit codes:
  0    all went well
  1    some run failed, or something broke
  2    what was asked for cannot be
  130  stopped by Ctrl-C (`secateur watch`, which ends in no other way: 0)
  143  a sweep stopped by SIGTERM

NO_COLOR turns colours off. `secateur --install-completion` completes commands, options and names
in bash, zsh, fish and PowerShell.
"""

_WORDS = (
    (r"^Value error, ", ""),
    (r"Input should be a valid number.*", "expected a number"),
    (r"Input should be a valid integer.*", "expected a whole number"),
    (r"Input should be ([^,]*).*", r"expected \1"),
)
"""How some versions of typer say what an option takes, and how every other error here does."""


def reworded(message: str) -> str:
    """What a wrong option is told, as a thing that was expected and no order.

    Example:
        >>> reworded("Input should be a valid number, unable to parse string as a number")
        'expected a number'
        >>> reworded("'half' is not a valid float.")
        "'half' is not a valid float."
    """
    for told, better in _WORDS:
        message = re.sub(told, better, message)
    return message


class Commands(TyperGroup):
    """The commands, whose wrong options are told in words of ours."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if isinstance(told := getattr(error, "message", None), str) and hasattr(error, "param"):
                error.message = reworded(told)  # type: ignore[attr-defined]
            raise


app = typer.Typer(
    name="secateur",
    cls=Commands,
    help="Prune a network by several methods under one audited budget, and draw the frontier.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"secateur {secateur.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    pass
