"""One net on one process and on two: the same accuracy within its band, and zeros on every rank.

    python benchmarks/data_parallel.py --seeds 5 --out benchmarks/data_parallel.md

A small net with batch norm and dropout on 2,000 images of `shapes`: trained dense, cut to 10 % of
its weights, trained on with its zeros held. Everything is drawn by the seed alone; two processes
differ from one in the rounding of sums and in their dropout. Accuracy is of the validation split.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
import secateur
import secateur.data
from report import write_report
from secateur.data.images import ImageData
from secateur.study.aggregate import Estimate, estimate
from secateur.training.evaluate import evaluate
from secateur.training.fit import fit, stream
from secateur.training_settings import TrainingSpec

HEAD = ("processes", "dense, accuracy", "cut and retrained, accuracy", "apart from one process",
        "pruned weights that are not +0", "seconds a seed")  # fmt: skip
SPARSITY = 0.9


@dataclass(frozen=True)
class Found:
    """Of one seed on so many processes."""

    dense: Fraction
    cut: Fraction
    revived: int
    seconds: float


def build(data: ImageData, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.25), nn.Linear(512, 64), nn.ReLU(),
        nn.Linear(64, data.classes),
    )  # fmt: skip


def trained(data: ImageData, seed: int, devices: int, epochs: int) -> Found:
    spec = TrainingSpec(devices=devices, optimizer="adamw", weight_decay=0.01, schedule="cosine")
    begun, model = time.perf_counter(), build(data, seed)
    fit(model, data, spec, epochs=epochs, seed=stream(seed, "base"), device="cpu")
    dense = share(model, data)
    masks = secateur.prune(model, "magnitude", sparsity=SPARSITY)
    fit(model, data, spec, epochs=epochs, seed=stream(seed, "retrain"), masks=masks, device="cpu")
    revived = sum(
        int(parameter.detach().contiguous().view(torch.int32)[~masks[name]].count_nonzero())
        for name, parameter in masks.parameters_of(model).items()
    )
    return Found(dense, share(model, data), revived, time.perf_counter() - begun)


def share(model: nn.Module, data: ImageData) -> Fraction:
    found = evaluate(model, data, data.val)
    return Fraction(found.part, found.total)


def told(found: Estimate) -> str:
    return f"{found.mean:.4f} ±{found.band or 0:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = secateur.data.load(
        "shapes", train=asked.train, val=1000, test=10, size=16, difficulty=0.25
    )
    found = {
        devices: [trained(data, seed, devices, asked.epochs) for seed in range(asked.seeds)]
        for devices in (1, 2)
    }
    rows = [
        (
            devices,
            told(estimate([one.dense for one in ours])),
            told(estimate([one.cut for one in ours])),
            told(estimate([a.cut - b.cut for a, b in zip(ours, found[1], strict=True)])),
            sum(one.revived for one in ours),
            f"{sum(one.seconds for one in ours) / len(ours):.1f}",
        )
        for devices, ours in found.items()
    ]
    write_report(
        asked.out,
        title="One net on one and on two processes (gloo, CPU)",
        head=HEAD,
        rows=rows,
        runs=asked.seeds,
        notes=f"{asked.epochs} epochs dense and as many cut to {SPARSITY:.0%} zeros, batches of "
        "32 in all, one thread a process. ± is the 95 % band of the mean over seeds. Apart: the "
        "mean over seeds of the difference to the same seed on one process. Starting the second "
        "process and sending it the training is in the seconds, twice a seed; this net is far too "
        "small to train faster so.",
    )


if __name__ == "__main__":
    main()
