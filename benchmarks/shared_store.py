"""Two sweeps on one run folder, 500 points: is each run done by exactly one of them, and none lost?

    python benchmarks/shared_store.py --out benchmarks/shared_store.md

The runs are performed by an executor of this file, which makes up a point at once, so that the two
meet at the store as often as they can. Every run writes other bytes in every process: a row and a
file that belong to each other come from one of them. In turn

- both go on undisturbed;
- one is killed (SIGKILL) at a random moment;
- one is stopped (SIGSTOP) for longer than the others wait for a sign of life, and goes on then: a
  driver that is late. For this the wait is set to half a second.

Exits with 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import statistics
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import load
import page
import torch

from report import write_report
from secateur.errors import StoreError
from secateur.registry import EXECUTORS
from secateur.spec import check_study
from secateur.study import drivers
from secateur.study.checkpoint import load_checkpoint, save_checkpoint
from secateur.study.executors.protocol import Event
from secateur.study.store import Store
from secateur.study.sweep import run_study

FORK = multiprocessing.get_context("fork")
SILENCE = 0.5
WAYS = ("undisturbed", "killed", "stopped")


class Stub(load.Stub):
    """An executor whose runs are done as soon as they are started, with bytes of this process."""

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        del timeout
        started, self._started = self._started, []
        for job in started:
            run = job.run
            found = save_checkpoint(job.output, {"writer": torch.tensor([os.getpid()])})
            level = run.level[0] if run.level else 0.0
            made = page.point_at(run.method, run.step, float(level), random.Random(run.seed))
            made = replace(made, digest=run.digest, seed=run.seed, level=run.level)
            result = {"point": made.to_dict(), "trained": 0.0, "sha256": found}
            yield Event(run.digest, "done", result)


def drive(folder: Path, count: int) -> None:
    """One of the sweeps, in a process of its own."""
    EXECUTORS.add("stub", Stub)
    settings = {**tomllib.loads(load.study(count)), "executor": "stub"}
    run_study(
        check_study(settings, "the benchmark"), folder, workers=2, timing=False, shared=True,
        device="cpu",
    )  # fmt: skip


@dataclass
class Outcome:
    """What came of one repetition."""

    seconds: float
    shares: tuple[int, ...]
    wrong: list[str]


def repeat(folder: Path, count: int, way: str, chance: random.Random) -> Outcome:
    begun = time.monotonic()
    pair = [FORK.Process(target=drive, args=(folder, count)) for _ in range(2)]
    for process in pair:
        process.start()
    codes = [0, 0]
    if way != "undisturbed":
        wait_for(folder, chance.randrange(1, count * 3 // 4))
        time.sleep(chance.uniform(0, 0.02))
        victim = pair[0]
        with suppress(ProcessLookupError):
            os.kill(victim.pid or 0, signal.SIGKILL if way == "killed" else signal.SIGSTOP)
        if way == "stopped":
            time.sleep(3 * SILENCE)
            os.kill(victim.pid or 0, signal.SIGCONT)
        else:
            codes[0] = -signal.SIGKILL
    for process in pair:
        process.join(300)
    found = [process.exitcode for process in pair]
    wrong = [] if found == codes else [f"exit codes {found}"]
    return Outcome(time.monotonic() - begun, *judged(folder, count, wrong))


def wait_for(folder: Path, ends: int) -> None:
    """Until so many runs have ended."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(StoreError):
            if len(Store(folder).rows("SELECT digest FROM runs")) >= ends:
                return
        time.sleep(0.005)


def judged(folder: Path, count: int, wrong: list[str]) -> tuple[tuple[int, ...], list[str]]:
    """How many runs each sweep ended, and everything that is not as it should be."""
    store = Store(folder)
    plan = store.plan()
    ends = Counter(digest for digest, how in store.attempts() if how == "done")
    states = Counter(verdict.state for verdict in store.verdicts().values())
    made = [point for point in store.points() if point.method != "dense"]
    left = [path.name for path in folder.rglob("*.partial")]
    checks = {
        f"{len(made)} points": len(made) == count,
        f"{len(plan) - len(ends)} runs not done": set(ends) == set(plan),
        "runs done twice": max(ends.values()) == 1,
        f"files {dict(states)}": dict(states) == {"sound": len(plan)},
        f"left over {left}": not left,
        "a driver's table left": not store.rows(
            "SELECT name FROM sqlite_master WHERE name IN ('drivers', 'claims', 'endings')"
        ),
    }
    shares = Counter(int(load_checkpoint(store.checkpoint(digest))[0]["writer"]) for digest in ends)
    found = tuple(sorted(shares.values(), reverse=True))
    return found, wrong + [name for name, well in checks.items() if not well]


def rows_of(options: argparse.Namespace) -> Iterator[tuple[list[Any], list[str]]]:
    chance = random.Random(options.seed)
    shared = Path("/dev/shm")
    for way in options.ways:
        outcomes = []
        for number in range(options.times):
            place = shared if shared.is_dir() else None
            with tempfile.TemporaryDirectory(dir=place) as name:
                outcomes.append(repeat(Path(name) / "run", options.points, way, chance))
            last = outcomes[-1]
            print(way, number + 1, f"{last.seconds:.1f} s", last.shares, last.wrong,
                  file=sys.stderr, flush=True)  # fmt: skip
        wrong = [each for outcome in outcomes for each in outcome.wrong]
        seconds = statistics.median(outcome.seconds for outcome in outcomes)
        less = [min(outcome.shares) if len(outcome.shares) > 1 else 0 for outcome in outcomes]
        row = [way, options.times, options.points, len(wrong), f"{min(less)}-{max(less)}"]
        yield [*row, f"{seconds:.1f}"], wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    drivers.BEAT, drivers.SILENCE = SILENCE / 10, SILENCE
    found = list(rows_of(options))
    write_report(
        options.out,
        title="Two sweeps, one run folder",
        head=("one of the two is", "repetitions", "points each", "repetitions with a point lost, "
              "a run done twice, a file of another's row, or anything left over",
              "runs that the one with fewer ended", "median seconds"),
        rows=[row for row, _ in found],
        runs=options.times,
        notes="Counted in every repetition: each run of the plan (500 points and 5 dense nets) has "
        "exactly one attempt that is done; every file is the one whose SHA-256 its row has; no "
        "claim, no driver and no part of a file is left; both sweeps ended with 0, but the "
        "killed one.",
    )  # fmt: skip
    return 1 if any(wrong for _, wrong in found) else 0


if __name__ == "__main__":
    sys.exit(main())
