"""Whether a better-tuned base net gives a better frontier: search its settings, sweep with them.

    PYTHONPATH=src python benchmarks/studies/tuned.py original-shapes-short [--trials 12]

`secateur tune` searches the base net's training by validation data; the study with the best
settings is written beside the first as NAME-tuned.toml, and `run.py` runs both. `RESULTS.md` has
the differences of their hypervolumes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAME = re.compile(r'^name = ".*"$', re.MULTILINE)


def search(name: str, folder: Path, trials: int, workers: int) -> Path:
    """Search, or go on with it; the study with the best settings."""
    command = [sys.executable, "-m", "secateur", "tune", str(HERE / f"{name}.toml"), "--quiet"]
    command += ["--what", "base", "--trials", str(trials), "--seeds", "1", "--out", str(folder)]
    command += ["--workers", str(workers), "--threads", "1", "--device", "cpu"]
    subprocess.run(command, check=True)
    return folder / "best.toml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("runs/studies"))
    asked = parser.parse_args()
    name, tuned = asked.study, f"{asked.study}-tuned"
    best = search(name, asked.work / f"{name}-tuning", asked.trials, asked.workers)
    text = best.read_text(encoding="utf-8")
    own = (HERE / f"{name}.toml").read_text(encoding="utf-8")
    text = NAME.sub(f'name = "{tuned}"', text, count=1)  # later ones are the net's, the data's
    seeds = re.search(r"^seeds = .*$", own, re.MULTILINE)
    if seeds:  # the search had one of its own
        text = re.sub(r"^seeds = .*$", seeds[0], text, flags=re.MULTILINE)
    (HERE / f"{tuned}.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, str(HERE / "run.py"), name, tuned]
    command += ["--work", str(asked.work), "--workers", str(asked.workers), "--threads", "1"]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
