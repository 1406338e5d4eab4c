"""The `secateur` command.

Exit codes: 0, all went well; 1, some run failed, or something broke; 2, what was asked for cannot
be; 130, stopped by Ctrl-C; 143, a sweep stopped by SIGTERM.
"""

from __future__ import annotations

import os
import sys

from secateur.cli import (
    bench,
    doctor,
    export,
    export_table,
    figure,
    frontier,
    inspect,
    listing,
    report,
    sensitivity,
    sweep,
    tune,
    watch,
)
from secateur.cli.app import app
from secateur.cli.printing import spell_out
from secateur.cli.sweep import FAILED
from secateur.errors import SecateurError, UsageError
from secateur.foundation.html import plain

__all__ = [
    "app",
    "bench",
    "doctor",
    "export",
    "export_table",
    "figure",
    "frontier",
    "inspect",
    "listing",
    "main",
    "report",
    "sensitivity",
    "sweep",
    "tune",
    "watch",
]

WRONG = 2


def main() -> None:
    """Run the command line, and turn every expected error into one message and an exit code."""
    try:
        _run()
    except SecateurError as error:
        lines = map(plain, str(error).splitlines())
        print("secateur:", "\n".join(lines), file=sys.stderr)  # noqa: T201
        sys.exit(WRONG if isinstance(error, UsageError) else FAILED)
    except BrokenPipeError:
        # Whoever read the output has enough. Python would try to write it again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


def _run() -> None:
    spell_out(sys.stdout)
    spell_out(sys.stderr)
    try:
        app()
    finally:
        sys.stdout.flush()
