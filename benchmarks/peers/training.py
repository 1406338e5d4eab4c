"""The loop of a user of the peers: Adam and one cycle of the rate, as our recipe has them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from secateur.data.data import Data

Split = tuple[Tensor, Tensor]
PEAK = 0.003


def whole(data: Data, split: str) -> Split:
    """A split as two tensors, normalised."""
    batches = list(data.batches(split, 512))
    return torch.cat([one[0] for one in batches]), torch.cat([one[1] for one in batches])


def train(
    net: nn.Module,
    split: Split,
    epochs: int,
    *,
    seed: int,
    batch: int = 32,
    penalize: Callable[[nn.Module], None] | None = None,
) -> None:
    """Train in place; `penalize` adds to the gradients before each step."""
    if not epochs:
        return
    torch.manual_seed(seed)
    images, labels = split
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=PEAK)
    steps = epochs * -(-len(labels) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels), generator=order).split(batch):
            optimizer.zero_grad()
            functional.cross_entropy(net(images[rows]), labels[rows]).backward()
            if penalize is not None:
                penalize(net)
            optimizer.step()
            schedule.step()


def gradients(net: nn.Module, split: Split, batch: int = 32) -> None:
    """Leave the gradient of the mean loss over a split in the parameters."""
    images, labels = split
    net.zero_grad()
    net.eval()
    for rows in torch.arange(len(labels)).split(batch):
        functional.cross_entropy(net(images[rows]), labels[rows], reduction="sum").backward()
    for parameter in net.parameters():
        if parameter.grad is not None:
            parameter.grad /= len(labels)


@torch.no_grad()
def correct(answer: Callable[[Tensor], Tensor], split: Split, batch: int = 100) -> list[int]:
    """How many answers are right, and of how many."""
    images, labels = split
    right = sum(
        int((answer(x).argmax(1) == y).sum())
        for x, y in zip(images.split(batch), labels.split(batch), strict=True)
    )
    return [right, len(labels)]
