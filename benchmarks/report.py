"""Writes a benchmark's table with what is needed to judge it: command, machine, versions, runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from secateur.measure.environment import environment


def write_report(
    path: Path | None,
    *,
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    runs: int,
    notes: str = "",
) -> None:
    """Print a Markdown report, and write it to `path` if one is given."""
    command = shlex.join(["python", *sys.argv])
    lines = [
        f"# {title}",
        "",
        f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}; {runs} runs each.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows),
        "",
        *([notes.strip(), ""] if notes else []),
        "; ".join(f"{name} {value}" for name, value in environment().items()) + ".",
        "",
    ]
    text = "\n".join(lines)
    print(text)
    if path is not None:
        path.write_text(text, encoding="utf-8")
