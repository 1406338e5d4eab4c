"""What repair wins back before any training: nets with batch norm and without, every kind alone.

    python benchmarks/repair.py --out benchmarks/repair.md

Each net is trained for a few epochs, cut, and repaired on 512 training images; all accuracies are
of the validation split. `won back` is (repaired - cut) / (dense - cut), of the means over seeds.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
import secateur
import secateur.data
from report import write_report
from secateur.data.images import ImageData
from secateur.models.conv4 import conv4
from secateur.models.lenet import lenet_5
from secateur.models.resnet import resnet20
from secateur.registry import REPAIRS
from secateur.study.aggregate import estimate
from secateur.training.evaluate import evaluate
from secateur.training.fit import fit
from secateur.training_settings import TrainingSpec

BATCH, BATCHES = 64, 8
CUTS = (("l1-filter", 0.5), ("l1-filter", 0.7), ("magnitude", 0.9))
PAIR = ("least-squares", "batch-norm")
WAYS: tuple[tuple[str, ...], ...] = (
    (), *((name,) for name in REPAIRS), PAIR, tuple(REPAIRS),
)  # fmt: skip
HEAD = ("net", "cut", "repair", "dense", "accuracy", "won back")


def vgg_like(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Five convolutions with batch norm, pooled twice, and one linear layer."""
    layers: list[nn.Module] = []
    width = shape[0]
    for number, following in enumerate((32, 32, 64, 64, 128)):
        layers += [
            nn.Conv2d(width, following, 3, padding=1),
            nn.BatchNorm2d(following),
            nn.ReLU(inplace=True),
            *([nn.MaxPool2d(2)] if number in (1, 3) else []),
        ]
        width = following
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def mobilenet_like(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Depthwise and pointwise convolutions in turn, each with batch norm and ReLU6."""

    def unit(width: int, following: int, kernel: int, stride: int = 1, groups: int = 1) -> Any:
        convolution = nn.Conv2d(
            width, following, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        return nn.Sequential(convolution, nn.BatchNorm2d(following), nn.ReLU6(inplace=True))

    layers = [unit(shape[0], 24, 3)]
    width = 24
    for following, stride in ((48, 1), (64, 2), (64, 1), (96, 2), (96, 1)):
        layers += [unit(width, width, 3, stride, groups=width), unit(width, following, 1)]
        width = following
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


@dataclass(frozen=True)
class Case:
    """A net, its data and how long it is trained."""

    build: Callable[..., nn.Module]
    data: str
    size: int
    epochs: int
    norms: bool

    def load(self) -> ImageData:
        """The data."""
        if self.data == "fashion-mini":
            return secateur.data.load("fashion-mini")
        return secateur.data.load("shapes", train=2000, val=1000, test=50, size=self.size)


CASES = {
    "resnet20": Case(resnet20, "shapes", 20, 12, True),
    "vgg-like": Case(vgg_like, "shapes", 20, 12, True),
    "mobilenet-like": Case(mobilenet_like, "shapes", 20, 15, True),
    "conv4": Case(conv4, "shapes", 25, 12, False),
    "lenet-5": Case(lenet_5, "fashion-mini", 28, 4, False),
}


def accuracies(case: Case, seed: int) -> Iterator[tuple[str, float, tuple[str, ...], Fraction]]:
    """Method, level, repair and accuracy of one seed; of the dense net without a method."""
    data = case.load()
    torch.manual_seed(seed)
    net = case.build(data.shape, data.classes)
    spec = TrainingSpec(batch_size=32, schedule="cosine")
    fit(net, data, spec, epochs=case.epochs, seed=seed, device="cpu")
    net.eval()
    yield "", 0.0, (), accuracy(net, data)
    order = torch.Generator().manual_seed(seed)
    batches = list(islice(data.batches("train", BATCH, generator=order), BATCHES))
    for method, level in CUTS:
        for how in WAYS:
            if not case.norms and how == ("batch-norm",):
                continue
            cut = copy.deepcopy(net)
            example = None if method == "magnitude" else data.example(2)
            masks = secateur.prune(cut, method, sparsity=level, example_inputs=example)
            secateur.repair(cut, masks, batches, how)
            yield method, level, how, accuracy(cut, data)


def accuracy(net: nn.Module, data: ImageData) -> Fraction:
    """On the validation split."""
    found = evaluate(net, data, data.val)
    return Fraction(found.part, found.total)


def rows(names: Sequence[str], seeds: int) -> Iterator[tuple[str, ...]]:
    """One for each net, cut and repair."""
    for name in names:
        found: dict[tuple[str, float, tuple[str, ...]], list[Fraction]] = {}
        for seed in range(seeds):
            for method, level, how, value in accuracies(CASES[name], seed):
                found.setdefault((method, level, how), []).append(value)
            print(name, "seed", seed, "done", file=sys.stderr, flush=True)
        dense = found.pop(("", 0.0, ()))
        for (method, level, how), values in found.items():
            lost = sum(dense) - sum(found[method, level, ()])
            won = (sum(values) - sum(found[method, level, ()])) / lost if lost else Fraction(0)
            words = "all" if how == tuple(REPAIRS) else " + ".join(how)
            yield (
                name if CASES[name].norms else f"{name} (no batch norm)",
                f"{method} {level:g}",
                words or "none",
                str(estimate(dense)),
                str(estimate(values)),
                f"{100 * float(won):.0f} %" if how else "",
            )


def main() -> None:
    """Run it and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="nets whose name has this in it")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    names = [name for name in CASES if asked.only in name]
    write_report(
        asked.out,
        title="What repair wins back before any training",
        head=HEAD,
        rows=list(rows(names, asked.seeds)),
        runs=asked.seeds,
        notes="Validation accuracy, mean and 95 % band over seeds; 512 training images, 1 thread. "
        "`won back` is (repaired - cut) / (dense - cut) of the means. `l1-filter` cuts channels of "
        "convolutions, ranked in each layer; `magnitude` single weights of all layers.",
    )


if __name__ == "__main__":
    main()
