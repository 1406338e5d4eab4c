"""What a sweep of many runs leaves behind: file descriptors, processes, temporary files.

    python benchmarks/left_behind.py [--runs 1000] [--workers 2] [--out FILE]

A stub net of one layer, one epoch of 32 images, real workers; TMPDIR is a folder that was empty
before. Prints a table in Markdown, and exits with 1 if anything was left.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from torch import nn

from report import write_report
from secateur.data.shapes import shapes
from secateur.spec import StudySpec
from secateur.study.observer import Silent
from secateur.study.plan import Run
from secateur.study.store import Store
from secateur.study.sweep import run_study

EVERY = 100


def stub(classes: int) -> nn.Module:
    """A net that costs nothing."""
    return nn.Sequential(nn.Flatten(), nn.Linear(192, classes))


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


def processes() -> int:
    """How many living processes were started by this one, or by those."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return len(found) - 1


class Watching(Silent):
    """Counts at every so many ends what there is."""

    def __init__(self) -> None:
        self.ended_runs = 0
        self.rows: list[tuple[int, int, int, int, int]] = []

    def ended(self, run: Run, reason: str) -> None:
        """Another run is done."""
        if reason:
            raise SystemExit(f"{run.title}: {reason}")
        self.ended_runs += 1
        if self.ended_runs % EVERY == 0:
            self.note()

    def note(self) -> None:
        """A row of the table: runs, descriptors, processes, temporary files, memory in MB."""
        held = len([*Path(tempfile.gettempdir()).rglob("*")])
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        self.rows.append((self.ended_runs, descriptors(), processes(), held, memory))


def main() -> None:
    """Sweep, and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        temporary = Path(place, "tmp")
        temporary.mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        study = StudySpec.model_validate(
            {
                "name": "left-behind",
                "levels": [round(0.1 + 0.8 * i / 9, 3) for i in range(10)],
                "seeds": max(1, options.runs // 11),
                "training": {"base_epochs": 1, "retrain_epochs": 1, "batch_size": 32},
                "methods": {"magnitude": {"schedule": "one-shot"}},
            }
        )
        watching, begun = Watching(), time.monotonic()
        run_study(
            study,
            Path(place, "run"),
            model=stub,
            data=shapes(train=32, val=8, test=8, size=8),
            workers=options.workers,
            threads=1,
            timing=False,
            timeout=600,
            observer=watching,
        )
        seconds = time.monotonic() - begun
        watching.note()
        done = len(Store(Path(place, "run")).points())
    write_report(
        options.out,
        title="What a sweep leaves behind",
        head=("runs", "open files", "processes", "temporary files", "highest memory, MB"),
        rows=watching.rows,
        runs=1,
        notes=f"{done:,} points in {seconds:.0f} s, {1000 * seconds / done:.0f} ms each. The last "
        "row is after the sweep: the server that forks workers and Python's tracker of resources "
        "are two processes, with a file or two each, and live as long as the sweep's own.",
    )
    first, last = watching.rows[0], watching.rows[-1]
    # The server of workers and the tracker of resources live as long as this process does.
    sys.exit(0 if last[1] <= first[1] and last[2] <= 2 and last[3] <= first[3] else 1)


if __name__ == "__main__":
    main()
