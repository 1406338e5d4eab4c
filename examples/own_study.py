"""A study in Python: your own network and your own torch datasets, the frontier and a pick.

    python examples/own_study.py

Any map-style dataset of (image, label) pairs will do. SECATEUR_SMALL=1 makes everything small.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset

import secateur
from secateur.data import from_dataset

SMALL = bool(os.environ.get("SECATEUR_SMALL"))
IMAGES, EPOCHS, SEEDS = (160, 1, 1) if SMALL else (3000, 8, 3)


class Stripes(Dataset[tuple[Tensor, int]]):
    """Stripes across, down, both ways, or none, in noise: a stand-in for your own dataset."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        label = index % 4
        wave = (torch.arange(16) + torch.randint(4, (), generator=draw)).fmod(4).lt(2).float()
        image = 0.5 * torch.rand(16, 16, generator=draw)
        image += 0.25 * (label in (1, 3)) * wave[:, None]
        image += 0.25 * (label in (2, 3)) * wave[None, :]
        return image.mul(255).byte(), label


def build_model(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Your own net; `shape` and `classes` come from the data."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * (height // 2) * (width // 2), classes),
    )


def main() -> None:
    """Sweep, and ask the study."""
    everything = Stripes(IMAGES + IMAGES // 2, seed=0)
    fifth = IMAGES // 4
    data = from_dataset(
        Subset(everything, range(IMAGES)),
        Subset(everything, range(IMAGES, IMAGES + fifth)),
        Subset(everything, range(IMAGES + fifth, IMAGES + 2 * fifth)),
        classes=4,
        name="stripes",
    )
    study = secateur.sweep(
        build_model,
        data,
        methods=["magnitude", "l1-filter", "random-filter", "dense"],
        levels=[0.5] if SMALL else [0.5, 0.8, 0.9],
        seeds=SEEDS,
        base_epochs=EPOCHS,
        retrain_epochs=max(1, EPOCHS // 2),
        batch_size=32,
        out=sys.argv[1] if len(sys.argv) > 1 else "runs/stripes",
    )
    print(study)
    for level in study.frontier(x="macs"):
        accuracy, macs = level.estimate("val_accuracy"), float(level.mean("macs"))
        print(f"{level.method:14} {level.level_name:>5}  val {accuracy}  {macs:,.0f} MACs")
    print(study.pick(within=0.02, x="macs"))

    best = study.pick(within=0.02, x="macs").replicate.points[0]
    weights = secateur.load_state_dict(study.checkpoint(best))
    print(f"{len(weights)} tensors in {Path(best.checkpoint).name[:12]}….safetensors")


if __name__ == "__main__":  # a sweep starts worker processes, which import this file
    main()
