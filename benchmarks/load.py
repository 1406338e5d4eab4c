"""A study of 5,000 points: the sweep's own cost, its memory and files, and the commands after it.

    python benchmarks/load.py --out benchmarks/load.md

The runs are performed by an executor of this file, which makes up a point at once: what is left is
what plan, scheduling, store, heartbeat and page cost. The seconds are CPU seconds of the command's
process; memory is the driver's highest resident size.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import page
from torch import nn

from report import write_report
from secateur.study.checkpoint import save_checkpoint
from secateur.study.executors.protocol import Event
from secateur.study.job import Job

METHODS = ("l1-filter", "l2-filter", "fpgm", "random-filter", "wanda")
SEEDS = 5
SIZES = (1250, 2500, 5000)

MEASURE = """
import json, os, resource, sys
from secateur.__main__ import main
sys.argv = sys.argv[1:]
try:
    main()
except SystemExit as end:
    code = end.code
own, files = resource.getrusage(resource.RUSAGE_SELF), os.listdir("/proc/self/fd")
print(json.dumps([code, own.ru_utime + own.ru_stime, own.ru_maxrss, len(files)]), file=sys.stderr)
"""


def net(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A small one."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(32, classes),
    )  # fmt: skip


class Stub:
    """An executor whose runs are done as soon as they are started."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._started: list[Job] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._started.clear()

    @property
    def free(self) -> int:
        return self.workers - len(self._started)

    @property
    def busy(self) -> bool:
        return bool(self._started)

    def start(self, job: Job) -> None:
        self._started.append(job)

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        del timeout
        started, self._started = self._started, []
        for job in started:
            run = job.run
            save_checkpoint(job.output, {})
            level = run.level[0] if run.level else 0.0
            made = page.point_at(run.method, run.step, float(level), random.Random(run.seed))
            made = replace(made, digest=run.digest, seed=run.seed, level=run.level)
            yield Event(run.digest, "done", {"point": made.to_dict(), "trained": 0.0})


def study(count: int) -> str:
    """A study file of so many points, but for the dense nets'."""
    levels = [round(0.3 + 0.69 * k / (count // 25), 5) for k in range(count // 25)]
    lines = ['name = "load"', 'model = "load:net"', 'executor = "load:Stub"', f"seeds = {SEEDS}",
             f"levels = {levels}",
             'data = { name = "shapes", options = { train = 20, val = 20, test = 20, size = 8 } }',
             *(f"[methods.{name}]" for name in METHODS)]  # fmt: skip
    return "\n".join(lines) + "\n"


def command(folder: Path, *words: str) -> tuple[float, int, int]:
    """CPU seconds, highest resident kilobytes and open files of a command."""
    here = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(here)}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "secateur", *words],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    code, seconds, kilobytes, files = json.loads(done.stderr.splitlines()[-1])
    if code:
        sys.exit(f"secateur {' '.join(words)} ended with {code}: {done.stderr[-2000:]}")
    return seconds, kilobytes, files


def measure(count: int) -> Iterator[list[object]]:
    """A row for each command, of a study of one size."""
    # In memory where there is some: a store waits for the disk with every point.
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        folder = Path(name)
        (folder / "study.toml").write_text(study(count), encoding="utf-8")
        sweep = ("sweep", "study.toml", "--out", "run", "--quiet", "--no-timing", "--workers", "2")
        for title, words in (
            ("sweep", sweep),
            ("sweep, nothing left to do", sweep),
            ("frontier", ("frontier", "run")),
            ("frontier --json", ("frontier", "run", "--json")),
            ("export-table", ("export-table", "run", "--out", "points.csv")),
            ("report", ("report", "run")),
        ):
            seconds, kilobytes, files = command(folder, *words)
            print(count, title, seconds, kilobytes, files, file=sys.stderr, flush=True)
            yield [f"{count:,}", title, f"{seconds:.1f}", f"{kilobytes / 1024:.0f}", files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [row for count in options.sizes for row in measure(count)]
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    write_report(
        options.out,
        title="A study of 5,000 points",
        head=("points", "command", "CPU, s", "highest memory, MB", "open files at its end"),
        rows=rows,
        runs=1,
        notes=f"One worker of no work: {SEEDS} seeds, {len(METHODS)} methods. "
        f"The largest process took {children / 1024:.0f} MB.",
    )


if __name__ == "__main__":
    main()
