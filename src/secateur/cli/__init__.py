"""The `secateur` command.

Exit codes: 0, all went well; 1, some run failed, or something broke; 2, what was asked for cannot
be; 130, stopped by Ctrl-C; 143, a sweep stopped by SIGTERM.
"""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType
from typing import NoReturn

from secateur.cli import (
    bench,
    doctor,
    export,
    export_table,
    fetch,
    figure,
    frontier,
    inspect,
    listing,
    package,
    quantise,
    report,
    sensitivity,
    sweep,
    tune,
    watch,
    yardsticks,
)
from secateur.cli.app import app
from secateur.cli.colons import whole_words
from secateur.cli.printing import screened
from secateur.cli.sweep import FAILED
from secateur.errors import SecateurError, UsageError
from secateur.foundation.html import plain
from secateur.foundation.own_error import place_of, words_of

__all__ = [
    "app",
    "bench",
    "doctor",
    "export",
    "export_table",
    "fetch",
    "figure",
    "frontier",
    "inspect",
    "listing",
    "main",
    "package",
    "quantise",
    "report",
    "sensitivity",
    "sweep",
    "tell_crash",
    "tune",
    "watch",
    "yardsticks",
]

WRONG = 2


def main() -> None:
    """Run the command line, and turn every expected error into one message and an exit code."""
    with screened() as out:
        try:
            _check_here()
            with whole_words():
                app()
        except SecateurError as error:
            lines = map(plain, str(error).split("\n"))
            print("secateur:", "\n".join(lines), file=sys.stderr)  # noqa: T201
            sys.exit(WRONG if isinstance(error, UsageError) else FAILED)
        except BaseException as error:
            # What code of the user's own raises is told like an error of ours; a `sys.exit(0)` in
            # it would end the command as if all had gone well.
            place = place_of(error)
            if not place:
                raise
            print(f"secateur: {place}: {plain(words_of(error))}", file=sys.stderr)  # noqa: T201
            sys.exit(FAILED)
        finally:
            out.flush()
            if out.problem:
                _tell_unwritten(out.problem)


def _check_here() -> None:
    """Python and torch find nothing, and say so in many ways, from a folder that is gone.

    Raises:
        UsageError: It is.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError(
            "starting",
            "the current folder",
            given=f"gone ({error.strerror})",
            expected="a folder that is there",
            remedy="Change to another one: cd.",
        ) from None


def tell_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an error that nobody expected, as Python does, but as words: it may quote a file."""
    with screened():
        print("".join(traceback.format_exception(kind, error, trace)), end="", file=sys.stderr)  # noqa: T201


def _tell_unwritten(problem: OSError) -> NoReturn:
    words = f"refused ({problem.strerror}), expected room for it. Free the disk, or name another."
    print(f"secateur: writing the output: standard output is {words}", file=sys.stderr)  # noqa: T201
    sys.exit(FAILED)
