"""Kill a sweep at ten random moments, resume it, and compare every bit with an undisturbed one.

    python benchmarks/kill_resume.py [--moments 10] [--seed 0] [--workers 2] [--out FOLDER]

Each time SIGKILL goes to the whole process group. Each attempt goes on from where the one before
was killed, so that a moment may lie anywhere: while torch is imported, in a forward pass, while a
checkpoint or a row is written.
Prints a table in Markdown and exits with 1 if a number, a byte or a count is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from secateur.errors import StoreError
from secateur.point import Point
from secateur.study.store import Store

STUDY = """
name = "kill-resume"
model = "conv4"
data = { name = "shapes", options = { train = 400, val = 100, test = 100 } }
levels = [0.3, 0.5, 0.7, 0.9]
seeds = 2
training = { base_epochs = 2, retrain_epochs = 1, batch_size = 64 }
[methods.magnitude]
[methods.l1-filter]
[methods.slimming]
sparsity_epochs = 1
[methods.combined]
[methods.random-filter]
[methods.scratch]
[methods.dense]
"""

LINGER = 3.0  # seconds: longer than a run of this study, and than the start of a sweep takes


def sweep(study: Path, out: Path, workers: int, kill: tuple[int, float] | None = None) -> float:
    """Sweep to the end, or kill the whole group; the seconds that it took.

    Args:
        kill: Wait until so many runs are finished, then so many seconds more.
    """
    command = [str(Path(sys.executable).with_name("secateur")), "sweep", str(study)]
    command += ["--out", str(out), "--workers", str(workers), "--device", "cpu"]
    begun = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    if kill is not None:
        count, seconds = kill
        while outcomes(out)["done"] < count and process.poll() is None:
            time.sleep(0.02)
        time.sleep(seconds)
        with suppress(ProcessLookupError):  # it may just have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    elif process.wait():
        raise SystemExit(f"the sweep ended with {process.returncode}")
    return time.monotonic() - begun


def points(run: Path) -> dict[str, Point]:
    """Every point without its times, which alone may differ."""
    return {point.digest: replace(point, seconds=0, latency=()) for point in Store(run).points()}


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "points").iterdir()}


def outcomes(run: Path) -> Counter[str | None]:
    """How many attempts ended how; None: cut off."""
    try:
        return Counter(how for _, how in Store(run).attempts())
    except StoreError:  # killed before there was a store
        return Counter()


def disturb(study: Path, run: Path, kills: list[tuple[int, float]], workers: int) -> None:
    print("| kill | s after its start | runs finished by then | attempts cut off by then |")
    print("|---:|---:|---:|---:|")
    for number, kill in enumerate(kills, start=1):
        seconds = sweep(study, run, workers, kill)
        found = outcomes(run)
        print(f"| {number} | {seconds:.2f} | {found['done']} | {found[None]} |", flush=True)
    sweep(study, run, workers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = options.out or Path(tempfile.mkdtemp(prefix="secateur-"))
    folder.mkdir(parents=True, exist_ok=True)
    study = folder / "study.toml"
    study.write_text(STUDY)

    whole, killed = folder / "undisturbed", folder / "killed"
    seconds = sweep(study, whole, options.workers)
    chance = random.Random(options.seed)
    # Spread over the study by what is finished, not by the clock: the machine's pace varies.
    counts = sorted(chance.sample(range(len(files(whole))), options.moments))
    kills = [(count, chance.uniform(0, LINGER)) for count in counts]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; ")
    print(f"undisturbed: {len(files(whole))} runs in {seconds:.1f} s\n")
    disturb(study, killed, kills, options.workers)

    done = Counter(digest for digest, how in Store(killed).attempts() if how == "done")
    checks = {
        "points equal": points(killed) == points(whole),
        "checkpoint bytes equal": files(killed) == files(whole),
        "no finished run done twice": max(done.values()) == 1,
        "every run finished": len(done) == len(files(whole)),
    }
    print(f"\n| check | of {len(points(whole))} points, {len(files(whole))} files |\n|---|---|")
    for name, passed in checks.items():
        print(f"| {name} | {'yes' if passed else 'NO'} |")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
