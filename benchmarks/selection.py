"""What choosing among many weights costs, beside finding one value among them.

    python benchmarks/selection.py [--layers 6] [--width 2048] [--rounds 3]
        [--out benchmarks/selection.md]

Each way runs in a fresh process on one thread, as many times as there are rounds, in turn; the
fastest time and the memory at the peak beyond the net are reported. `kthvalue` is the least that
anyone can do with torch: one value among all magnitudes, and a comparison. `torch` is
`torch.nn.utils.prune.global_unstructured`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

from report import write_report

SHAPES = ("2:4", "1x4", "4x4")
WAYS = ("kthvalue", "secateur", "by layer", "incremental", *SHAPES, "torch")


def net(layers: int, width: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))


def kthvalue(model: nn.Sequential) -> None:
    flat = torch.cat([layer.weight.detach().abs().flatten() for layer in model])
    limit = flat.kthvalue(int(0.9 * len(flat))).values
    for layer in model:
        layer.weight.data[layer.weight.abs() <= limit] = 0


def global_unstructured(model: nn.Sequential) -> None:
    from torch.nn.utils import prune

    layers = [(layer, "weight") for layer in model]
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=0.9)


def measure(way: str, layers: int, width: int) -> dict[str, float]:
    """One run in this process."""
    import secateur

    torch.set_num_threads(1)
    model = net(layers, width)
    secateur.prune(nn.Linear(4, 4), sparsity=0.5)  # what is imported late is imported
    previous = secateur.prune(model, sparsity=0.5) if way == "incremental" else None
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    if way == "kthvalue":
        kthvalue(model)
    elif way == "torch":
        global_unstructured(model)
    elif way in SHAPES:
        secateur.prune(model, granularity=way, sparsity=None if way == "2:4" else 0.9)
    else:
        ranking = "layer" if way == "by layer" else "global"
        secateur.prune(model, sparsity=0.9, ranking=ranking, previous=previous)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": seconds, "peak": peak * 1024}


def rows(found: dict[str, list[dict[str, float]]], size: int) -> list[list[str]]:
    least = min(run["seconds"] for run in found["kthvalue"])
    made = []
    for way, runs in found.items():
        seconds = min(run["seconds"] for run in runs)
        peak = min(run["peak"] for run in runs)
        times = [f"{seconds:.2f}", f"{seconds / least:.2f}"]
        made.append([way, *times, f"{peak / 1e6:.0f}", f"{peak / size:.2f}"])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--way", choices=WAYS, help="one run, in this process")
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measure(given.way, given.layers, given.width)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(given.rounds):
        for way in WAYS:
            told = [sys.executable, __file__, "--way", way]
            told += ["--layers", str(given.layers), "--width", str(given.width)]
            done = subprocess.run(told, capture_output=True, text=True, check=True)
            found[way].append(json.loads(done.stdout))
    weights = given.layers * given.width**2
    write_report(
        given.out,
        title="Choosing among many weights",
        head=["way", "seconds", "of kthvalue", "memory, MB", "of the weights"],
        rows=rows(found, 4 * weights),
        runs=given.rounds,
        notes=f"{weights:,} weights in {given.layers} linear layers, 0.9 of them cut (2:4: half), "
        "on one thread, each run in a fresh process; the fastest time and the smallest peak.",
    )


if __name__ == "__main__":
    main()
