"""Which recipe: every part of one alone and left out, at one total budget, on three nets.

    python benchmarks/recipes.py --net lenet-5              # each candidate: a study and its points
    python benchmarks/recipes.py --table                    # benchmarks/recipes/RESULTS.md

A candidate is the study file `benchmarks/recipes/NET/CANDIDATE.toml`, which `secateur sweep` runs;
what it gave stands beside it as JSON, and one that stands there is not run again. All that is
compared is of the validation split. A hypervolume is that of one seed, with accuracy measured from
zero; of `conv` against the sparsity of the convolutions alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from secateur.measure.environment import environment
from secateur.point import Point
from secateur.study.aggregate import Estimate, estimate
from secateur.study.frontier import hypervolume
from secateur.study.study import RunFolder

FOLDER = Path(__file__).parent / "recipes"
SEEDS = 5
LEVELS = (0.8, 0.95)
METHODS = ("magnitude", "l1-filter", "taylor-filter")
ALL_LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95)
ALL_METHODS = ("magnitude", "l1-filter", "taylor-filter", "slimming", "combined", "random-weight",
               "random-filter", "random-combined")  # fmt: skip
CONTROL = {"magnitude": "random-weight", "combined": "random-combined",
           "l1-filter": "random-filter", "taylor-filter": "random-filter",
           "slimming": "random-filter"}  # fmt: skip
CHOOSING = ("magnitude", "l1-filter", "taylor-filter")
AXES = ("sparsity", "conv_sparsity")

SHAPES = (
    'name = "shapes"\n'
    "options = {{ train = {}, val = 1000, test = 100, size = {}, difficulty = 0.25 }}"
)
NETS: Mapping[str, Mapping[str, Any]] = {
    "lenet-5": {
        "data": 'name = "fashion-mini"\noptions = { train = 1000, val = 1000, test = 100 }',
        "base_epochs": 8, "retrain_epochs": 6, "batch_size": 32,
    },
    "conv4": {
        "data": SHAPES.format(800, 16),
        "base_epochs": 8, "retrain_epochs": 6, "batch_size": 32,
    },
    "resnet20": {
        "data": SHAPES.format(600, 12),
        "base_epochs": 8, "retrain_epochs": 6, "batch_size": 32,
    },
    "resnet20-tuned": {
        "model": "resnet20",
        "data": SHAPES.format(600, 12),
        "base_epochs": 8, "retrain_epochs": 6, "batch_size": 32, "learning_rate": 0.01,
    },
    "resnet20-longer": {
        "model": "resnet20",
        "data": SHAPES.format(600, 12),
        "base_epochs": 8, "retrain_epochs": 12, "batch_size": 32, "learning_rate": 0.01,
    },
}  # fmt: skip
"""`resnet20-tuned` has the best of 0.001, 0.003 and 0.01 for its dense net at the whole budget; of
the others 0.001 is that or within a point of it. `resnet20-longer` is that net retrained for twice
as many epochs, after which the dense net has come to rest."""

TENTH = {"protected": 0.1}
GUARD = {"max_sparsity": {":last": 0.8}}
CYCLE = {"training": {"retrain_schedule": "one-cycle"}}
RATE = {"training": {"retrain_learning_rate": "3x"}}
FALLING = {"training": {"retrain_schedule": "linear"}}
SQUARES = {"training": {"repair": ["least-squares"]}}
SCALED = {"training": {"retrain_dropout": "scaled"}}
DISTILL = {"training": {"distill": 0.5}}
ONE_SHOT = {"methods": {n: {"schedule": "one-shot"} for n in ("magnitude", "random-weight")}}
GRADUAL = {"methods": {name: {"schedule": "gradual"} for name in METHODS}}
MEAN = {"methods": {name: {"normalize": "mean"} for name in ("magnitude", "taylor-filter")}}
REWOUND = {"training": {"schedule": "cosine", "retrain": "rewind-weights"}}
CHOSEN = (TENTH, CYCLE, RATE, SCALED, ONE_SHOT)


def _without(part: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(one for one in CHOSEN if one is not part)


CANDIDATES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "plain": (),
    "chosen": CHOSEN,
    "one-cycle": (CYCLE,),
    "rate": (RATE,),
    "protected": (TENTH,),
    "scaled-dropout": (SCALED,),
    "one-shot": (ONE_SHOT,),
    "least-squares": (SQUARES,),
    "batch-norm": ({"training": {"repair": ["batch-norm"]}},),
    "normalize": (MEAN,),
    "distill": (DISTILL,),
    "gradual": (GRADUAL,),
    "cosine": ({"training": {"schedule": "cosine"}},),
    "rewind-rate": ({"training": {"schedule": "cosine", "retrain": "rewind-rate"}},),
    "rewind-weights": (REWOUND,),
    "adaptive": ({"training": {"schedule": "cosine", "retrain": "adaptive"}},),
    "without-protected": _without(TENTH),
    "without-one-cycle": _without(CYCLE),
    "without-rate": _without(RATE),
    "without-scaled-dropout": _without(SCALED),
    "with-least-squares": (*CHOSEN, SQUARES),
    "steady-with-least-squares": (*_without(CYCLE), SQUARES),
    "falling": (*_without(CYCLE), FALLING),
    "falling-with-least-squares": (*_without(CYCLE), FALLING, SQUARES),
    "guarded": (*CHOSEN, SQUARES, GUARD),
    "with-distill": (*CHOSEN, DISTILL),
    "with-normalize": (*CHOSEN, MEAN),
    "with-guard": (*CHOSEN, GUARD),
}
"""What each one sets beside the plain recipe, which is the one that studies had until now."""

DROPS = ("conv4",)
"""The nets with dropout: on the others `scaled` is what `as-built` is."""

NORMS = ("resnet20", "resnet20-tuned", "resnet20-longer")
"""The nets with batch norm."""

EVERY = ("chosen", "guarded")
"""The candidates that are run with all methods at all levels, too."""


def applies(name: str, net: str) -> bool:
    """Whether a candidate is another recipe than the others on this net."""
    if name == "batch-norm":
        return net in NORMS
    return name not in ("scaled-dropout", "without-scaled-dropout") or net in DROPS


def study(net: str, name: str, every: bool) -> str:
    """The study file of a candidate, with the few methods and levels or with all."""
    known = NETS[net]
    methods: dict[str, dict[str, Any]] = {m: {} for m in (ALL_METHODS if every else METHODS)}
    if every:
        methods["slimming"] = {"sparsity_epochs": 1}
    training: dict[str, Any] = {
        "base_epochs": known["base_epochs"],
        "retrain_epochs": known["retrain_epochs"],
        "budget": "total",
        "batch_size": known["batch_size"],
    }
    if "learning_rate" in known:
        training["learning_rate"] = known["learning_rate"]
    top: dict[str, Any] = {"protected": 0.0}
    for part in CANDIDATES[name]:
        training |= part.get("training", {})
        top |= {key: value for key, value in part.items() if key not in ("training", "methods")}
        for method, options in part.get("methods", {}).items():
            if method in methods:
                methods[method] |= options
    if "scaled" in training.values() and net not in DROPS:
        del training["retrain_dropout"]
    levels = ALL_LEVELS if every else LEVELS
    lines = [f'name = "{net}"', f'model = "{known.get("model", net)}"', f"seeds = {SEEDS}",
             f"levels = {list(levels)}", *_settings(top),
             "", "[data]", known["data"], "", "[training]", *_settings(training)]  # fmt: skip
    for method, options in methods.items():
        lines += ["", f"[methods.{method}]", *_settings(options)]
    return "\n".join(lines) + "\n"


def _settings(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in values.items()]


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {one}" for key, one in value.items()) + " }"
    return json.dumps(value)


def file_of(net: str, name: str, every: bool) -> Path:
    """Where the points of a candidate are written down; its study file lies beside it."""
    return FOLDER / net / f"{'every-' if every else ''}{name}.json"


def run(net: str, name: str, every: bool, workers: int) -> None:
    """Sweep a candidate's study and write down its points."""
    file = file_of(net, name, every).with_suffix(".toml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(study(net, name, every), encoding="utf-8")
    begun = time.monotonic()
    # One folder for all: recipes that have a base net in common find it there.
    folder = Path(tempfile.gettempdir()) / f"secateur-recipes-{net}{'-every' if every else ''}"
    command = [sys.executable, "-m", "secateur", "sweep", str(file), "--quiet"]
    command += ["--out", str(folder), "--workers", str(workers), "--threads", "1", "--no-timing"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    points = RunFolder(folder).points
    found = {
        "seconds": round(time.monotonic() - begun),
        "environment": environment(),
        "epochs": sorted({point.epochs.cumulative for point in points}),
        "hypervolumes": {axis: _hypervolumes(points, axis) for axis in AXES},
        "points": [facts_of(point) for point in points],
    }
    text = json.dumps(found, indent=1).replace("\n   ", " ").replace("\n  }", " }")
    file.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(net, name, found["seconds"], "s", flush=True)


def _hypervolumes(points: Sequence[Point], axis: str) -> dict[str, list[float]]:
    """Of each method, by seed."""
    return {
        method: [
            hypervolume(
                [p for p in points if p.method == method and p.seed == seed and not p.collapsed],
                (axis, "val_accuracy"),
                (0.0, 0.0),
            )
            for seed in range(SEEDS)
        ]
        for method in dict.fromkeys(point.method for point in points)
    }


def facts_of(point: Point) -> dict[str, Any]:
    share = point.val.share
    before = point.before[0].share if point.before else None
    return {
        "method": point.method,
        "level": point.level_name,
        "seed": point.seed,
        "val": [share.part, share.total] if share else None,
        "before": [before.part, before.total] if before else None,
        "sparsity": [point.sparsity.part, point.sparsity.total],
        "conv_sparsity": [point.conv_sparsity.part, point.conv_sparsity.total],
        "bytes": point.artifact_bytes,
        "collapsed": point.collapsed,
    }


def read(net: str, every: bool = False) -> dict[str, dict[str, Any]]:
    """What the candidates of a net gave, in their order."""
    files = {name: file_of(net, name, every) for name in CANDIDATES}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.is_file()}


def tables() -> Iterator[str]:
    """The lines of RESULTS.md."""
    yield from ("# Recipes at one total budget", "", *_protocol(), "", *findings(FOLDER))
    for net in NETS:
        found = read(net)
        if found:
            yield from _table(net, found)
            yield from _levels(found)
        whole = read(net, every=True)
        if whole:
            yield from (f"## {net}: every method", "", *_every(whole), *_levels(whole))


def findings(folder: Path) -> list[str]:
    """What is written by hand of the tables: `findings.md` in their folder."""
    file = folder / "findings.md"
    return [*file.read_text(encoding="utf-8").splitlines(), ""] if file.is_file() else []


def _protocol() -> Iterator[str]:
    yield (
        "Made by `python benchmarks/recipes.py --net NET` and `--table`. Each candidate is a study "
        f"file beside its results; {SEEDS} seeds, levels {', '.join(map(str, LEVELS))} for the "
        'parts; every point of a net has had the same epochs in all (`budget = "total"`). '
        "All figures are of the validation split; mean and 95 % band over seeds. `gain` is the "
        "mean difference to `plain`, seed by seed, with its band: **bold** where the band does not "
        "reach zero."
    )


def _table(net: str, found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    known = NETS[net]
    first = next(iter(found.values()))
    yield from (f"## {net}", "")
    yield (
        f"{known['data'].splitlines()[0]}; {known['base_epochs']} base epochs, "
        f"{first['epochs'][-1]} in all; "
        + ", ".join(f"{name} {value}" for name, value in first["environment"].items())
        + "."
    )
    yield ""
    heads = ["recipe", *CHOOSING, *(f"{one}, conv" for one in ("l1-filter", "taylor-filter"))]
    heads += ["gain of the mean", "below its control", "at chance", "seconds"]
    yield from ("Hypervolumes of validation accuracy against sparsity:", "")
    yield from ("| " + " | ".join(heads) + " |", "|" + "---|" * len(heads))
    plain = found.get("plain")
    for name, one in found.items():
        area = one["hypervolumes"]
        cells = [_of(area["sparsity"][method]) for method in CHOOSING]
        cells += [_of(area["conv_sparsity"][method]) for method in ("l1-filter", "taylor-filter")]
        gain = _gain(one, plain) if plain and name != "plain" else ""
        lost = _below(one)
        cells += [gain, ", ".join(lost) or "none", str(_at_chance(one)), str(one["seconds"])]
        yield f"| {name} | " + " | ".join(cells) + " |"
    yield ""


def _of(values: Sequence[float]) -> str:
    found = _exact(values)
    return f"{found.mean:.3f} ±{found.band:.3f}"


def _exact(values: Sequence[float]) -> Estimate:
    return estimate([Fraction(value) for value in values])


def merit(one: Mapping[str, Any]) -> list[float]:
    """What is chosen by, seed by seed: the mean hypervolume of the informed methods.

    Of those of filters it is that against the sparsity of the convolutions.
    """
    area = one["hypervolumes"]
    parts = [
        area["conv_sparsity" if method.endswith("-filter") else "sparsity"][method]
        for method in CHOOSING
    ]
    return [sum(values) / len(values) for values in zip(*parts, strict=True)]


def _gain(one: Mapping[str, Any], plain: Mapping[str, Any]) -> str:
    differences = [a - b for a, b in zip(merit(one), merit(plain), strict=True)]
    found = _exact(differences)
    text = f"{found.mean:+.3f} ±{found.band:.3f}"
    return f"**{text}**" if abs(found.mean) > (found.band or 0) else text


def _accuracies(one: Mapping[str, Any]) -> dict[tuple[str, str], list[Fraction]]:
    found: dict[tuple[str, str], list[Fraction]] = {}
    for point in one["points"]:
        if point["method"] == "dense":
            continue
        found.setdefault((point["method"], point["level"]), []).append(Fraction(*point["val"]))
    return found


def _below(one: Mapping[str, Any]) -> list[str]:
    """Levels at which an informed method is below its control by more than the bands."""
    values, lost = _accuracies(one), []
    for (method, level), own in values.items():
        if (CONTROL.get(method, ""), level) in values:
            control = values[CONTROL[method], level]
            found = estimate([a - b for a, b in zip(own, control, strict=True)])
            if found.mean + (found.band or 0) < 0:
                lost.append(f"{method} {level}")
    return lost


def _at_chance(one: Mapping[str, Any]) -> int:
    return sum(1 for p in one["points"] if p["method"] in CONTROL and p["collapsed"])


def _every(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, one in found.items():
        lost = ", ".join(_below(one)) or "none"
        where = ", ".join(one["environment"][name] for name in ("cpu", "instruction_set", "torch"))
        yield (
            f"- `{name}`: below the random control beyond the band: {lost}; points of informed "
            f"methods at chance: {_at_chance(one)}; {one['seconds']} s on {where}."
        )
    yield ""


def _levels(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    first = _accuracies(next(iter(found.values())))
    levels, methods = (list(dict.fromkeys(key[axis] for key in first)) for axis in (1, 0))
    yield from ("Validation accuracy by level:", "")
    heads = ["recipe", "method", *levels]
    yield from ("| " + " | ".join(heads) + " |", "|" + "---|" * len(heads))
    for name, one in found.items():
        values = _accuracies(one)
        for method in methods:
            cells = [str(estimate(values[method, level])).split(" (")[0] for level in levels]
            yield f"| {name} | {method} | " + " | ".join(cells) + " |"
    yield ""


def main() -> None:
    """Run what is asked for, or write the table of what has been run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=NETS, nargs="*", default=())
    parser.add_argument("--only", nargs="*", help="candidates; all, if none is named")
    parser.add_argument("--every", action="store_true", help="all methods and levels")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    for net in asked.net:
        for name in asked.only or (EVERY if asked.every else CANDIDATES):
            if applies(name, net) and not file_of(net, name, asked.every).is_file():
                run(net, name, asked.every, asked.workers)
    if asked.table:
        (FOLDER / "RESULTS.md").write_text("\n".join(tables()), encoding="utf-8")


if __name__ == "__main__":
    main()
