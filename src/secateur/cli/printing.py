"""Printing a table: fitted to a terminal, whole and without colours into a pipe or a file."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

_WHOLE = 1000


def print_table(table: Table) -> None:
    """Print a table on standard output.

    On a terminal its cells are folded to the width. Elsewhere it is as wide as it needs to be,
    so that every row is one line for the next program.
    """
    console = Console()
    if not console.is_terminal:
        ruler = Console(width=_WHOLE)
        width = table.__rich_measure__(ruler, ruler.options).maximum
        console = Console(width=width, color_system=None)
    console.print(table)
