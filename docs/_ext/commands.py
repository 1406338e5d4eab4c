"""The directive `{command-help}`: what each command says of itself, so that no page can drift."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from secateur.cli import app

_WIDTH = "96"


def names() -> list[str]:
    """The commands that there are, in the order in which the command lists them."""
    import typer.main

    return list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def help_of(command: str = "") -> str:
    """The text of `secateur COMMAND --help`."""
    return _run(*([command] if command else []), "--help")


def listing_of(command: str) -> str:
    """What `secateur methods` and its like print."""
    return _run(command)


def _run(*arguments: str) -> str:
    from typer.testing import CliRunner

    environment = {"COLUMNS": _WIDTH, "TERMINAL_WIDTH": _WIDTH, "NO_COLOR": "1"}
    done = CliRunner().invoke(app, arguments, env=environment, prog_name="secateur")
    if done.exit_code:
        raise ExtensionError(f"secateur {' '.join(arguments)} fails: {done.output}")
    return done.stdout


class CommandHelp(SphinxDirective):
    """The help of one command; of the command as a whole without an argument."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """One literal block."""
        return [_literal(help_of(self.arguments[0] if self.arguments else ""))]


class CommandOutput(SphinxDirective):
    """What a command prints."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """One literal block."""
        return [_literal(listing_of(self.arguments[0]))]


class OtherCommands(SphinxDirective):
    """A section for each command that the page itself does not name in its option."""

    option_spec: ClassVar[dict[str, Any]] = {"besides": str.split}

    def run(self) -> list[nodes.Node]:
        """One section a command."""
        sections: list[nodes.Node] = []
        for name in names():
            if name in self.options["besides"]:
                continue
            section = nodes.section(ids=[name])
            section += nodes.title(text=f"secateur {name}")
            section += _literal(help_of(name))
            sections.append(section)
        return sections


def _literal(text: str) -> nodes.literal_block:
    block = nodes.literal_block(text, text)
    block["language"] = "text"
    return block


def setup(app: Sphinx) -> dict[str, Any]:
    """Enter the directives."""
    app.add_directive("command-help", CommandHelp)
    app.add_directive("command-output", CommandOutput)
    app.add_directive("other-commands", OtherCommands)
    return {"parallel_read_safe": True}
