"""What holding pruned weights at zero costs a training step, beside the ways that torch offers.

    python benchmarks/freezing.py [--rounds 60] [--out benchmarks/freezing.md]

`conv4` at 90 % zeros, batch 32 and 128, channels_last and fused Adam for all: the only difference
is how the zeros are held. One step of each in turn, round after round; within a round each is
divided by the dense step, and the median of those quotients is reported.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils import prune as torch_prune

from report import write_report
from secateur import prune
from secateur.models.conv4 import conv4
from secateur.training.device import prepare_process

Step = Callable[[], None]


class Masked(nn.Module):
    """The parametrization of the torch tutorials: weight * mask at each use."""

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.mask


def net() -> nn.Module:
    torch.manual_seed(0)
    return conv4((1, 28, 28), 10).to(memory_format=torch.channels_last)


def stepper(model: nn.Module, batch: int, optimizer: torch.optim.Optimizer | None = None) -> Step:
    images = torch.randn(batch, 1, 28, 28).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))
    optimizer = optimizer or torch.optim.Adam(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def dense(batch: int) -> Step:
    return stepper(net(), batch)


def frozen(batch: int) -> Step:
    model = net()
    masks = prune(model, "magnitude", sparsity=0.9)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    masks.freeze(optimizer)
    return stepper(model, batch, optimizer)


def torch_pruned(batch: int) -> Step:
    torch.manual_seed(0)
    # It cannot prune a channels_last weight (pytorch #96743), so the layout comes after.
    model = conv4((1, 28, 28), 10)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            torch_prune.l1_unstructured(module, "weight", amount=0.9)
    return stepper(model.to(memory_format=torch.channels_last), batch)


def parametrized(batch: int) -> Step:
    model = net()
    masks = prune(model, "magnitude", sparsity=0.9)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            mask = masks[f"{name}.weight"].float()
            parametrize.register_parametrization(module, "weight", Masked(mask))
    return stepper(model, batch)


WAYS: dict[str, Callable[[int], Step]] = {
    "dense, nothing held": dense,
    "secateur: masks.freeze(optimizer)": frozen,
    "torch.nn.utils.prune": torch_pruned,
    "torch.nn.utils.parametrize": parametrized,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    prepare_process(options.threads)
    order = random.Random(0)
    rows = []
    for batch in (32, 128):
        steps = {name: make(batch) for name, make in WAYS.items()}
        times: dict[str, list[float]] = {name: [] for name in steps}
        for number in range(options.rounds + 3):
            # In a new order each round: a step finds the caches as its predecessor left them.
            for name in order.sample(list(steps), len(steps)):
                begun = time.perf_counter()
                steps[name]()
                if number >= 3:
                    times[name].append(time.perf_counter() - begun)
        base = times["dense, nothing held"]
        for name, taken in times.items():
            quotients = sorted(mine / theirs for mine, theirs in zip(taken, base, strict=True))
            low, middle, high = statistics.quantiles(quotients, n=4)
            rows.append(
                (
                    batch,
                    name,
                    f"{1e3 * statistics.median(taken):.1f}",
                    f"{100 * (middle - 1):+.1f} %",
                    f"{100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} %",
                )
            )
    write_report(
        options.out,
        title="Holding pruned weights at zero",
        head=("batch", "how", "step, ms (median)", "over dense (median)", "quartiles"),
        rows=rows,
        runs=options.rounds,
    )


if __name__ == "__main__":
    main()
