"""Runs a study of this folder, or goes on with it, and writes what it found beside its file.

    PYTHONPATH=src python benchmarks/studies/run.py original-shapes [--seeds 1] [--workers 2]

The run folder is `runs/studies/NAME`. Stopped by Ctrl-C or SIGTERM, or after --seconds, it writes
what there is: NAME.json, and as figures 1a and 1b accuracy against the sparsity of all weights and
of the convolutions. `--no-sweep` writes them of what the run folder holds; `--timing` measures the
latencies of what it holds, too, for the hypervolumes against them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from results import found_in, read, write

HERE = Path(__file__).parent
FIGURES = {"1a": "sparsity", "1b": "conv_sparsity"}
PATIENCE = 60
WRONG = 2
"""The exit code of a sweep that cannot be."""


def sweep(name: str, folder: Path, asked: argparse.Namespace) -> float:
    """Perform what is left of a study; the seconds that it took."""
    command = [sys.executable, "-m", "secateur", "sweep", str(HERE / f"{name}.toml")]
    command += ["--out", str(folder), "--quiet", "--device", asked.device]
    command += [] if asked.timing else ["--no-timing"]
    for option in ("seeds", "workers", "threads"):
        given = getattr(asked, option)
        command += [] if given is None else [f"--{option}", str(given)]
    # A study may name nets and data of a module beside it.
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    beside = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=beside)
    try:
        process.wait(asked.seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.terminate()
        process.wait(PATIENCE)
    if process.returncode == WRONG:
        sys.exit(WRONG)
    return time.monotonic() - begun


def figures(name: str, folder: Path) -> None:
    """Figures 1a and 1b, as the library draws them."""
    for number, axis in FIGURES.items():
        command = [sys.executable, "-m", "secateur", "figure", str(folder), "--x", axis]
        command += ["--y", "test_accuracy", "--out", str(HERE / f"{name}-{number}.png")]
        subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", choices=sorted(f.stem for f in HERE.glob("*.toml")))
    parser.add_argument("--work", type=Path, default=Path("runs/studies"))
    parser.add_argument("--seeds")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--timing", action="store_true", help="latencies at the end, too")
    parser.add_argument("--seconds", type=float, help="after which a study is stopped")
    parser.add_argument("--no-sweep", action="store_true")
    asked = parser.parse_args()
    for name in asked.studies:
        folder, file = asked.work / name, HERE / f"{name}.json"
        before = read(file)["seconds"] if file.is_file() else 0
        took = 0.0 if asked.no_sweep else sweep(name, folder, asked)
        found = found_in(folder)
        if not found["points"]:
            print(f"{name}: no run has ended yet; the same command goes on")
            continue
        write(file, {"study": name, "seconds": round(before + took), **found})
        figures(name, folder)


if __name__ == "__main__":
    main()
