"""A sweep on a quiet machine, and with busy processes beside it: wall time, CPU time, switches.

    python benchmarks/busy.py --threads 1 2 --out benchmarks/busy.md    # the demo: half an hour
    python benchmarks/busy.py --threads 1 2 -- --methods magnitude --levels 0.5 \\
        --base-epochs 1 --retrain-epochs 1                              # minutes

What follows `--` goes to `secateur sweep`. Each sweep is the real command in an empty folder. The
busy processes count in a loop; each ends by itself after `--limit` seconds, or with this one.
With `--spinning`, threads also wait as OpenMP has them by default: turning, for milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from report import write_report

# The workers' server is left to us when the command ends; only who waits for it sees what it and
# its workers took. (36: PR_SET_CHILD_SUBREAPER.)
RUN = """
import ctypes, json, os, resource, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
begun = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
wall = time.monotonic() - begun
try:
    while True: os.wait()
except ChildProcessError:
    pass
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stderr[-2000:], wall, used.ru_utime + used.ru_stime,
                  used.ru_nvcsw, used.ru_nivcsw]))
"""
COUNT = """
import os, sys, time
parent, end = os.getppid(), time.monotonic() + float(sys.argv[1])
while os.getppid() == parent and time.monotonic() < end:
    for _ in range(1000000): pass
"""
SPINNING = {"GOMP_SPINCOUNT": "300000"}  # what libgomp does if nobody says anything


@dataclass(frozen=True)
class Used:
    """What one sweep took, its workers included."""

    wall: float
    cpu: float
    waits: int
    preempted: int


def sweep(study: str, threads: int, options: list[str], spinning: bool) -> Used:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OMP_", "GOMP_", "KMP_"))
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-c", RUN, sys.executable, "-m", "secateur", "sweep", study),
            *("--threads", str(threads), "--quiet", "--out", str(Path(folder) / "run"), *options),
        ]
        done = subprocess.run(
            command,
            env={**environment, **(SPINNING if spinning else {})},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    code, told, *used = json.loads(done.stdout)
    if code:
        sys.exit(f"secateur sweep ended with {code}: {told}")
    return Used(*used)


@contextmanager
def busy(count: int, limit: float) -> Iterator[None]:
    """So many processes that count, while it lasts."""
    started = [subprocess.Popen([sys.executable, "-c", COUNT, str(limit)]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="demo")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--busy", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limit", type=float, default=3600.0)
    parser.add_argument("--spinning", action="store_true")
    parser.add_argument("--out", type=Path)
    own = sys.argv[1:]
    cut = own.index("--") if "--" in own else len(own)
    options, further = parser.parse_args(own[:cut]), own[cut + 1 :]
    ways = [
        (threads, spinning)
        for spinning in ((False, True) if options.spinning else (False,))
        for threads in options.threads
    ]
    # All quiet ones first: what else runs on the machine later can only make the ratio worse.
    quiet = {way: _runs(options, further, way, 0) for way in ways}
    loaded = {way: _runs(options, further, way, options.busy) for way in ways}
    rows = [
        _row(way, count, runs[way], quiet[way])
        for way in ways
        for count, runs in ((0, quiet), (options.busy, loaded))
    ]
    write_report(
        options.out,
        title=f"The study `{options.study}` beside {options.busy} busy processes",
        head=("threads", "waiting", "beside", "wall, s", "spread, s", "slower by", "CPU, s",
              "waits", "preempted"),
        rows=rows,
        runs=options.rounds,
        notes=f"Load of the machine at the end, without this: {os.getloadavg()[0]:.1f}.",
    )  # fmt: skip


def _runs(
    options: argparse.Namespace, further: list[str], way: tuple[int, bool], count: int
) -> list[Used]:
    threads, spinning = way
    runs = []
    for _ in range(options.rounds):
        with busy(count, options.limit):
            runs.append(sweep(options.study, threads, further, spinning))
        print(f"{threads} threads, {count} busy: {runs[-1]}", file=sys.stderr, flush=True)
        time.sleep(1)
    return runs


def _row(
    way: tuple[int, bool], count: int, runs: list[Used], quiet: list[Used]
) -> tuple[object, ...]:
    walls = [run.wall for run in runs]
    middle = statistics.median(walls)
    return (
        way[0],
        "turning" if way[1] else "asleep",
        f"{count} busy" if count else "nothing",
        f"{middle:.0f}",
        f"{min(walls):.0f} to {max(walls):.0f}",
        f"{middle / statistics.median(run.wall for run in quiet):.2f}",
        *(f"{statistics.median(getattr(run, name) for run in runs):.0f}"
          for name in ("cpu", "waits", "preempted")),
    )  # fmt: skip


if __name__ == "__main__":
    main()
