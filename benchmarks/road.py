"""From `pip install` to the exported file of one's own trained net: the seconds of each step.

    python benchmarks/road.py --out benchmarks/road.md

A new virtual environment, the wheel of this checkout, and then the files and commands of the page
"I already have a trained net" of the guide, to the letter: train, sweep, pick, export, load, time.
Nothing of the environment that runs this is seen by it, and pip keeps no cache.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from report import write_report

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "trained-net.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r":caption: (\S+)\n:name: \S+\n\n(.*?)^```$", PAGE, re.S | re.M))
COMMANDS = [line for line in re.findall(r"^\$ (secateur .*)$", PAGE, re.M) if "--all" not in line]
TORCH = re.search(r"^torch==\S+", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)


class Road:
    """A folder that somebody works in, and how long each step has taken there.

    Attributes:
        rows: Step, seconds, seconds since the first that is counted, and CPU seconds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[tuple[str, ...]] = []
        self._total = 0.0
        hidden = ("PYTHONPATH", "VIRTUAL_ENV", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
        self._environment = {name: text for name, text in os.environ.items() if name not in hidden}
        self._environment["PATH"] = f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def step(self, name: str, command: Sequence[str], *, counted: bool = True) -> None:
        """Run a command there, and note it; one that fails ends it all, with what it has said."""
        begin, worked = time.perf_counter(), _worked()
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        seconds, worked = time.perf_counter() - begin, _worked() - worked
        if done.returncode:
            sys.exit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        self._total += seconds * counted
        since = f"{self._total:.0f}" if counted else "-"
        self.rows.append((name, f"{seconds:.1f}", since, f"{worked:.1f}"))
        print(f"{name}: {seconds:.1f} s", file=sys.stderr)

    @property
    def minutes(self) -> float:
        """Of all steps that count."""
        return self._total / 60


def _worked() -> float:
    """CPU seconds of all children that have ended: what a step takes, whatever runs beside it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def walk(folder: Path) -> Road:
    """Go the whole road in an empty folder."""
    road = Road(folder)
    python = str(folder / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "--no-cache-dir", "--quiet", "install"]
    pip += ["-c", str(ROOT / "constraints.txt")]
    wheel = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "-w", str(folder)]
    road.step("build the wheel (an index would have it)", [*wheel, str(ROOT)], counted=False)
    (made,) = folder.glob("secateur-*.whl")
    road.step("`python -m venv`", [sys.executable, "-m", "venv", str(folder / "venv")])
    if TORCH is None:
        sys.exit("constraints.txt names no torch")
    road.step(f"`pip install {TORCH[0]}`", [*pip, TORCH[0]])
    road.step("`pip install 'secateur[export]'`", [*pip, f"{made}[export]"])
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    road.step("train one's own net: `python train.py`", [python, "train.py"])
    for line in COMMANDS:
        road.step(f"`{line}`", shlex.split(line))
        if "--out small.safetensors" in line:
            road.step("load it in one's own script: `python use.py`", [python, "use.py"])
    return road


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--note", default="", help="what else the machine was doing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="road-") as folder:
        road = walk(Path(folder))
    notes = (
        f"**{road.minutes:.1f} minutes** from an empty folder to the timed file. The net, its data "
        "and every command are those of `docs/trained-net.md`: a small convolutional net, 600 "
        "pictures. One's own net adds what its training takes. pip downloads everything anew, from "
        "the index that the machine is set up with."
    )
    write_report(
        given.out,
        title="From `pip install` to the exported file of one's own trained net",
        head=("step", "seconds", "seconds so far", "CPU seconds"),
        rows=road.rows,
        runs=1,
        notes=f"{notes} {given.note}",
    )


if __name__ == "__main__":
    main()
