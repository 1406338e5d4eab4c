"""What gathering a statistic costs beside the passes that it needs, on one thread.

The passes are forward alone for statistics without gradients, and forward and backward for the
others; a round takes them and every statistic in turn, and ratios are of the same round.

    python benchmarks/gathering.py --rounds 5 --out benchmarks/gathering.md
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from report import write_report
from secateur import models
from secateur.pruning.statistics import gather
from secateur.registry import COLLECTORS

SHAPE, CLASSES, BATCH, BATCHES = (3, 32, 32), 10, 32, 2


def loss(model: nn.Module, batch: Tensor) -> Tensor:
    """Any loss: it is the passes that cost."""
    found: Tensor = model(batch)
    return found.square().mean()


def passes(net: nn.Module, batches: list[Tensor], backward: bool) -> None:
    """What a statistic cannot do without."""
    for parameter in net.parameters():
        parameter.requires_grad_(backward and parameter.dim() > 1)
    with torch.set_grad_enabled(backward):
        for batch in batches:
            value = loss(net, batch)
            if backward:
                value.backward()  # type: ignore[no-untyped-call]
                net.zero_grad()


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, once."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = models.build("resnet20", SHAPE, CLASSES).eval()
    assert isinstance(net, nn.Module)
    batches = [torch.randn(BATCH, *SHAPE) for _ in range(BATCHES)]
    taken: dict[str, list[float]] = {name: [] for name in COLLECTORS}
    ratios: dict[str, list[float]] = {name: [] for name in COLLECTORS}
    for _ in range(given.rounds):
        own = {
            kind: seconds(lambda kind=kind: passes(net, batches, kind)) for kind in (False, True)
        }
        for name, collector in COLLECTORS.items():
            one = seconds(
                lambda name=name: gather(net, [name], batches, loss, example_inputs=batches[0][:1])
            )
            taken[name].append(one)
            ratios[name].append(one / own[collector.backward])
    rows = []
    for name, collector in COLLECTORS.items():
        low, middle, high = np.quantile(ratios[name], [0.25, 0.5, 0.75])
        kind = "forward, backward" if collector.backward else "forward"
        times = (f"{np.median(taken[name]):.2f}", f"{middle:.2f}", f"{low:.2f} to {high:.2f}")
        rows.append((f"`{name}`", kind, *times))
    write_report(
        given.out,
        title="What gathering costs",
        head=("statistic", "passes", "s (median)", "over the passes (median)", "quartiles"),
        rows=rows,
        runs=given.rounds,
        notes=f"resnet20 on {BATCHES} batches of {BATCH} images of 32x32, beside other work on the "
        "machine. `example-gradients` go one example at a time; `hessian-diagonal` probes each "
        "batch four times, `gradient-flow` goes through them twice, both with second derivatives; "
        "`synaptic-flow` looks at one example in float64, whatever the batches.",
    )


if __name__ == "__main__":
    main()
