"""The whole embedded study with one worker, and with a worker for each core.

    python benchmarks/workers.py [--out benchmarks/workers.md]

Each sweep is the real command in an empty folder, 15 minutes on two cores in all. The threads of a
run do not depend on the number of workers, so that its bits do not either: on up to eight cores a
run has one thread, but for the base nets, which share all the cores.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import write_report
from secateur.study.executors import cores, share_out


def sweep(workers: int, study: str) -> tuple[float, float, int]:
    """Wall seconds of a sweep, the seconds its points took together, and their number."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-c", "from secateur.cli import main; main()"),
                *("sweep", study, "--workers", str(workers), "--out", folder),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wall = time.perf_counter() - begun
        database = sqlite3.connect(Path(folder) / "study.sqlite")
        total, count = database.execute(
            "SELECT SUM(result ->> '$.point.seconds'), COUNT(*) FROM runs WHERE kind != 'slim'"
        ).fetchone()
    return wall, total, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="demo")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    first = 0.0
    for workers in sorted({1, cores()}):
        wall, total, count = sweep(workers, options.study)
        first = first or wall
        rows.append(
            (
                workers,
                share_out(workers, 0)[1],
                f"{wall:.0f}",
                f"{total / count:.1f}",
                f"{first / wall:.2f}",
            )
        )
        print(*rows[-1], flush=True)
    write_report(
        options.out,
        title=f"Workers side by side: the study `{options.study}`",
        head=("workers", "threads each", "wall, s", "mean of a point, s", "faster by"),
        rows=rows,
        runs=1,
        notes="One run of each: the spread between sweeps is not known.",
    )


if __name__ == "__main__":
    main()
