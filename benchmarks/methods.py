"""Every method on two nets at one total budget: who ranks where, with bands over seeds.

    PYTHONPATH=benchmarks/methods python benchmarks/methods.py --net lenet-5 conv4
    python benchmarks/methods.py --table            # benchmarks/methods/RESULTS.md

The study of a net is `benchmarks/methods/NET.toml`, its points stand beside it as JSON. Methods of
single weights are ranked among themselves at equal sparsity of all weights, methods of filters
among themselves at equal sparsity of the convolutions: at each level, by validation accuracy,
within each seed; equal ones share the mean of their ranks. `own:METHOD` is a criterion that is no
part of the package.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import claims
from recipes import facts_of

from secateur.measure.environment import environment
from secateur.pruning.method import find_method
from secateur.registry import METHODS
from secateur.study.aggregate import estimate
from secateur.study.ranking import places
from secateur.study.study import RunFolder

FOLDER = Path(__file__).parent / "methods"
LEVELS = {False: (0.9, 0.98), True: (0.5, 0.8)}
"""Of methods of single weights, and of filters: of the convolutions alone."""
LEFT_OUT = ("combined", "random-combined", "scratch")
"""They cut both kinds at once; and it copies another method's cut."""
OWN = ("own:METHOD", "own:GRADUAL")
NETS = {
    "lenet-5": ("train = 1000, val = 1000, test = 100", 8, 6, 5),
    "conv4": ("train = 500, val = 1000, test = 100", 8, 6, 3),
}
"""Of each net: its data, epochs of the base net and of retraining, seeds."""


def study(net: str) -> str:
    """The study file of a net."""
    options, base, retrain, seeds = NETS[net]
    lines = [
        "version = 2",
        f'name = "methods-{net}"',
        f'model = "{net}"',
        f"seeds = {seeds}",
        f'data = {{ name = "fashion-mini", options = {{ {options} }} }}',
        "",
        "[training]",
        f"base_epochs = {base}",
        f"retrain_epochs = {retrain}",
        'budget = "total"',
        "batch_size = 32",
        "retrain_learning_rate = 0.003",
        # Some cut while they train, others go back to weights from before: nothing to repair.
        "repair = []",
    ]
    for name in (*(name for name in METHODS if name not in LEFT_OUT), *OWN):
        lines += ["", f'[methods."{name}"]']
        lines += [f"levels = {list(LEVELS[of_filters(name)])}"] if name != "dense" else []
        if name in METHODS and METHODS[name].schedule == "incremental" and METHODS[name].parts:
            lines += ['schedule = "one-shot"']
        if name in ("slimming", "group-lasso"):
            lines += ["sparsity_epochs = 1"]
    return "\n".join(lines) + "\n"


def run(net: str, workers: int) -> None:
    """Sweep a net's study and write down its points."""
    file = FOLDER / f"{net}.toml"
    file.write_text(study(net), encoding="utf-8")
    begun = time.monotonic()
    folder = Path(tempfile.gettempdir()) / f"secateur-methods-{net}"
    command = [sys.executable, "-m", "secateur", "sweep", str(file), "--quiet", "--no-timing"]
    command += ["--out", str(folder), "--workers", str(workers), "--threads", "1"]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    done = RunFolder(folder)
    found = {
        "seconds": round(time.monotonic() - begun),
        "environment": environment(),
        "epochs": sorted({point.epochs.cumulative for point in done.points}),
        "failures": [list(one) for one in done.failures],
        "points": [facts_of(point) for point in done.points],
    }
    text = json.dumps(found, indent=1).replace("\n   ", " ").replace("\n  }", " }")
    file.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def of_filters(name: str) -> bool:
    """Whether a method cuts filters."""
    return any(part.cuts_channels for part in find_method(name).parts)


def ranks(points: list[Mapping[str, Any]], level: str, seed: int) -> dict[str, Fraction]:
    """The place of each method at a level of one seed, the best first."""
    return places(
        {
            point["method"]: Fraction(*point["val"])
            for point in points
            if point["level"] == level and point["seed"] == seed
        }
    )


def tables() -> Iterator[str]:
    """The lines of RESULTS.md."""
    yield from ("# Every method at one total budget", "", (__doc__ or "").strip(), "")
    files = {net: FOLDER / f"{net}.json" for net in NETS}
    found = {net: json.loads(file.read_text()) for net, file in files.items() if file.is_file()}
    for net, one in found.items():
        yield from _table(net, one)
    yield from claims.lines(next(iter(found.values()), {"points": []})["points"])


def _table(net: str, found: Mapping[str, Any]) -> Iterator[str]:
    facts = ", ".join(f"{name} {value}" for name, value in found["environment"].items())
    epochs = ", ".join(map(str, found["epochs"]))
    yield from (f"## {net}", "", f"{epochs} epochs in all; {found['seconds']} s; {facts}.", "")
    if "note" in found:
        yield from (found["note"], "")
    for title, kind in (("single weights", False), ("filters", True)):
        points = [
            point
            for point in found["points"]
            if point["method"] != "dense" and of_filters(point["method"]) == kind
        ]
        yield from (f"Methods of {title}:", "", *_ranked(points), "")
    if found["failures"]:
        yield from ("Failed:", "", *(f"- {title}: {why}" for title, why in found["failures"]), "")


def _ranked(points: list[Mapping[str, Any]]) -> Iterator[str]:
    levels = list(dict.fromkeys(point["level"] for point in points))
    seeds = sorted({point["seed"] for point in points})
    by_seed: dict[str, list[Fraction]] = {}
    for seed in seeds:
        of_levels = [ranks(points, level, seed) for level in levels]
        for name in of_levels[0]:
            mine = [each[name] for each in of_levels if name in each]
            by_seed.setdefault(name, []).append(sum(mine, Fraction()) / len(mine))
    means = {name: estimate(values) for name, values in by_seed.items()}
    heads = ["method", "mean rank", *levels, "at chance"]
    yield from ("| " + " | ".join(heads) + " |", "|" + "---|" * len(heads))
    for name in sorted(means, key=lambda name: means[name].mean):
        own = [point for point in points if point["method"] == name]
        cells = [
            str(estimate([Fraction(*p["val"]) for p in own if p["level"] == level])).split(" (")[0]
            for level in levels
        ]
        lost = sum(1 for point in own if point["collapsed"])
        rank = f"{means[name].mean:.1f} ±{means[name].band or 0:.1f}"
        yield f"| `{name}` | {rank} | " + " | ".join(cells) + f" | {lost} |"


def main() -> None:
    """Run what is asked for, or write the table of what has been run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=NETS, nargs="*", default=())
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    for net in asked.net:
        run(net, asked.workers)
    if asked.table:
        (FOLDER / "RESULTS.md").write_text("\n".join(tables()), encoding="utf-8")


if __name__ == "__main__":
    main()
