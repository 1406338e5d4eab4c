"""Prune a network of your own in a training loop of your own, and take its channels out.

    python examples/own_loop.py

The data are drawn by secateur so that nothing is downloaded; the net and the loop are plain
PyTorch. SECATEUR_SMALL=1 makes everything small, as CI runs it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import secateur
from secateur.data import load

SMALL = bool(os.environ.get("SECATEUR_SMALL"))
IMAGES, EPOCHS = (200, 1) if SMALL else (4000, 6)


def build_model() -> nn.Sequential:
    """The dense network; the file is loaded into what this builds."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(1024, 128),
        nn.ReLU(),
        nn.Linear(128, 5),
    )


def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """An ordinary loop. It knows nothing of pruning."""
    model.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of right answers."""
    model.eval()
    return float((model(x).argmax(1) == y).float().mean())


def main() -> None:
    """Train, prune, retrain, compact, save, load."""
    torch.manual_seed(0)
    data = load("shapes", train=IMAGES, val=IMAGES // 4, test=10, size=16)
    x, y = data.normalise(data.train.images), data.train.labels
    val_x, val_y = data.normalise(data.val.images), data.val.labels

    model = build_model()
    train(model, torch.optim.Adam(model.parameters(), lr=1e-3), x, y)
    print(f"dense      {accuracy(model, val_x, val_y):.3f}")

    # Half of the filters, with their biases, norms and readers. The net is the same function
    # afterwards, in smaller tensors, so it is retrained like any other.
    example = x[:2]
    masks = secateur.prune(model, "l1-filter", sparsity=0.5, example_inputs=example)
    small = secateur.compact(model, masks, example)
    print(f"cut        {accuracy(small, val_x, val_y):.3f}")
    train(small, torch.optim.Adam(small.parameters(), lr=1e-3), x, y)
    print(f"retrained  {accuracy(small, val_x, val_y):.3f}")

    # Of what is left, 90 % of the single weights: these stay in the tensors as zeros, so they
    # are frozen while training goes on.
    masks = secateur.prune(small, "magnitude", sparsity=0.9)
    optimizer = torch.optim.AdamW(small.parameters(), lr=1e-3, weight_decay=1e-2)
    masks.freeze(optimizer)
    train(small, optimizer, x, y)
    zeros, weights = secateur.sparsity(small).prunable
    print(f"and zeros  {accuracy(small, val_x, val_y):.3f}, {zeros:,} of {weights:,} weights are 0")

    before, after = secateur.cost(build_model(), example), secateur.cost(small, example)
    print(f"parameters {before.parameters:,} -> {after.parameters:,}, {after.nonzero:,} not zero")
    print(f"MACs       {before.macs:,} -> {after.macs:,}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.safetensors")
        secateur.save(small, path, masks, {"val_accuracy": accuracy(small, val_x, val_y)})
        again = secateur.load(path, build_model)
        assert torch.equal(small(val_x), again(val_x)), "the same bits"
        print(f"file       {path.stat().st_size:,} bytes, loaded again with the same answers")


if __name__ == "__main__":
    main()
