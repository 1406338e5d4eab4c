"""The `secateur` command.

Exit codes: 0, all went well; 1, some run failed, or something broke; 2, what was asked for cannot
be; 130, stopped by Ctrl-C.
"""

from __future__ import annotations

import sys

from secateur.cli import bench, export, frontier, inspect, listing, sweep
from secateur.cli.app import app
from secateur.cli.sweep import FAILED
from secateur.errors import SecateurError, UsageError

__all__ = ["app", "bench", "export", "frontier", "inspect", "listing", "main", "sweep"]

WRONG = 2


def main() -> None:
    """Run the command line, and turn every expected error into one message and an exit code."""
    try:
        app()
    except SecateurError as error:
        print(f"secateur: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(WRONG if isinstance(error, UsageError) else FAILED)
