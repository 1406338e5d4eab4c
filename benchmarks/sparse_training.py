"""One training step of a masked `conv4`: sparse kernels beside torch's dense ones, in one run.

    python benchmarks/sparse_training.py [--rounds 31] [--run runs/demo] [--out benchmarks/...md]

Both nets have the same weights and masks, train as `secateur.fit` does (channels_last, fused Adam,
masks held at zero), and take turns, one step each.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from report import write_report
from secateur import models
from secateur.pruning.masks import Masks
from secateur.runtime.layers.retraining import BREAK_EVEN, sparse_retraining
from secateur.spec import check_study
from secateur.study.checkpoint import load_checkpoint
from secateur.study.job import Setup
from secateur.study.store import Store
from secateur.training.device import prepare_process
from secateur.training.dropout import byte_dropout
from secateur.training.optimizer import build_optimizer
from secateur.training_settings import TrainingSpec

SHAPE, CLASSES = (3, 25, 25), 5
SHARES, LEVELS = (0.7, 0.8, 0.9, 0.95), (0.8, 0.9, 0.95)
HEAD = ("zeros", "layers taken", "threads", "batch", "dense, ms", "sparse, ms", "ratio", "spread")


def uniform(share: float) -> tuple[nn.Module, Masks]:
    """`conv4` with the same share of zeros, at random places, in every layer."""
    torch.manual_seed(0)
    net = models.build("conv4", SHAPE, CLASSES)
    masks = {
        name: torch.rand_like(parameter) >= share
        for name, parameter in net.named_parameters()
        if parameter.dim() > 1
    }
    return net, Masks(masks).apply(net)


def by_magnitude(run: Path, level: float) -> tuple[nn.Module, Masks, tuple[int, ...]]:
    """A study's net with the masks that magnitude pruning left, and the shape of its images."""
    store = Store(run)
    setup = Setup(check_study(json.loads(store.fact("settings") or ""), str(run)), run)
    data = setup.load_data()
    (point, *_) = (p for p in store.points() if p.method == "magnitude" and p.level == (level,))
    state, masks = load_checkpoint(store.checkpoint(point.digest))
    net = setup.build_model(data)
    net.load_state_dict(state)
    return net, masks or Masks({}), data.shape


def cases(run: Path | None) -> Iterator[tuple[str, nn.Module, Masks, tuple[int, ...]]]:
    """Name, net, masks, shape of an image."""
    for share in SHARES:
        yield f"{share:.0%} in each layer", *uniform(share), SHAPE
    if run is not None:
        for level in LEVELS:
            yield f"{level:.0%} by magnitude", *by_magnitude(run, level)


def step_of(
    net: nn.Module, masks: Masks, shape: tuple[int, ...], batch: int, stack: ExitStack
) -> Callable[[], None]:
    """A function that trains the net on one batch."""
    net = net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = build_optimizer(net, TrainingSpec(), 1e-4)
    stack.enter_context(masks.freeze(optimizer, net))
    stack.enter_context(byte_dropout(net))
    images = torch.randn(batch, *shape).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (batch,))

    def step() -> None:
        functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def seconds(step: Callable[[], None]) -> float:
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def row(
    name: str,
    net: nn.Module,
    masks: Masks,
    shape: tuple[int, ...],
    threads: int,
    batch: int,
    options: argparse.Namespace,
) -> list[object]:
    torch.set_num_threads(threads)
    with ExitStack() as stack:
        dense = step_of(copy.deepcopy(net), masks, shape, batch, stack)
        other = copy.deepcopy(net)
        taken = stack.enter_context(sparse_retraining(other, masks, sparsity=options.sparsity))
        sparse = step_of(other, masks, shape, batch, stack)
        for _ in range(3):
            dense(), sparse()
        pairs = [(seconds(dense), seconds(sparse)) for _ in range(options.rounds)]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    ratios = statistics.quantiles((slow / fast for slow, fast in pairs), n=4)
    return [
        name,
        len(taken),
        threads,
        batch,
        *(f"{1e3 * median:.2f}" for median in medians),
        f"{medians[0] / medians[1]:.2f}",
        f"{ratios[0]:.2f} to {ratios[2]:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="*", default=[32, 64])
    parser.add_argument(
        "--sparsity", type=float, default=BREAK_EVEN, help="From which a layer is taken."
    )
    parser.add_argument("--run", type=Path, help="A run folder of the demo.")
    parser.add_argument("--only", default="", help="Cases whose name begins so.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    prepare_process(max(options.threads))
    rows = []
    for name, net, masks, shape in cases(options.run):
        for threads in options.threads if name.startswith(options.only) else ():
            for batch in options.batch:
                rows.append(row(name, net, masks, shape, threads, batch, options))
                print(*rows[-1], flush=True)
    write_report(
        options.out,
        title="A training step of conv4 with frozen masks",
        head=HEAD,
        rows=rows,
        runs=options.rounds,
        notes="Forward, loss, backward, Adam, masks. The ratio is that of the medians; the spread "
        "is the middle half of the ratios of neighbouring steps.",
    )


if __name__ == "__main__":
    main()
