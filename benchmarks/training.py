"""Training `conv4` on `fashion-mini`: `secateur.fit` beside a plain PyTorch loop, in one run.

    python benchmarks/training.py [--rounds 5] [--images 4000] [--out benchmarks/training.md]

The plain loop is what a tutorial shows: a `Dataset` that turns one uint8 image at a time into a
normalised float tensor, a `DataLoader`, the default memory layout, `torch.optim.Adam` as it comes.
Both train the same net on the same images for one epoch a round, and validate nothing. Rounds of
the two alternate; the ratio is taken within a round, and its median is reported.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import secateur.data
from report import write_report
from secateur.data.images import ImageData
from secateur.data.split import Split
from secateur.models.conv4 import conv4
from secateur.training.device import prepare_process
from secateur.training.fit import fit
from secateur.training_settings import TrainingSpec


class OneByOne(Dataset[tuple[torch.Tensor, int]]):
    """Images as most scripts read them."""

    def __init__(self, data: ImageData) -> None:
        self.split = data.train
        self.mean, self.std = data.mean[0], data.std[0]

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self.split.images[index].float() / 255
        return (image - self.mean) / self.std, int(self.split.labels[index])


def plain(data: ImageData, batch_size: int) -> float:
    """Images a second of the tutorial's loop."""
    torch.manual_seed(0)
    model = conv4(data.shape, data.classes)
    loader = DataLoader(OneByOne(data), batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters())
    loss_of = nn.CrossEntropyLoss()
    begun = time.perf_counter()
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        loss.backward()
        optimizer.step()
    return len(data.train) / (time.perf_counter() - begun)


def ours(data: ImageData, batch_size: int) -> float:
    """Images a second of `secateur.fit`."""
    torch.manual_seed(0)
    model = conv4(data.shape, data.classes)
    begun = time.perf_counter()
    fit(model, data, TrainingSpec(batch_size=batch_size), epochs=1, device="cpu")
    return len(data.train) / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--threads", type=int, nargs="*", default=[2, 1])
    parser.add_argument("--batch", type=int, nargs="*", default=[32, 64, 128])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    prepare_process(max(options.threads))
    whole = secateur.data.load("fashion-mini")
    some = Split(whole.train.images[: options.images], whole.train.labels[: options.images])
    # One validation image: `fit` looks at the split after each epoch, and that is not training.
    data = replace(whole, train=some, val=Split(whole.val.images[:1], whole.val.labels[:1]))
    rows = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        for batch in options.batch:
            plain(data, batch), ours(data, batch)
            rounds = [(plain(data, batch), ours(data, batch)) for _ in range(options.rounds)]
            ratios = sorted(mine / theirs for theirs, mine in rounds)
            rows.append(
                (
                    threads,
                    batch,
                    f"{statistics.median(theirs for theirs, _ in rounds):.0f}",
                    f"{statistics.median(mine for _, mine in rounds):.0f}",
                    f"{statistics.median(ratios):.2f}",
                    f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
                )
            )
            print(*rows[-1], flush=True)
    write_report(
        options.out,
        title="Training conv4 on fashion-mini",
        head=("threads", "batch", "plain, images/s", "secateur.fit", "ratio (median)", "spread"),
        rows=rows,
        runs=options.rounds,
    )


if __name__ == "__main__":
    main()
