"""What pruning with reconstruction costs, and what it is worth before any retraining.

    python benchmarks/sparsegpt.py --out benchmarks/sparsegpt.md
    python benchmarks/sparsegpt.py --quality --out benchmarks/sparsegpt_quality.md

The first times single layers on two threads: gathering the moments of their inputs, and cutting.
The second trains the nets of `repair.py`, cuts them in several ways on 512 training images, every
layer by the same share, and says what they score on the validation split.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parent))
from repair import BATCH, BATCHES, CASES, Case, accuracy

import secateur
from report import write_report
from secateur.pruning.criterion import MOMENTS, Statistics
from secateur.pruning.method import find_method, parts_of
from secateur.pruning.select import cut
from secateur.pruning.statistics import gather
from secateur.pruning.weights import prunable_weights
from secateur.spec import method_settings
from secateur.study.aggregate import estimate
from secateur.training.fit import fit
from secateur.training_settings import TrainingSpec

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear, 768 outputs x 3072 inputs": (lambda: nn.Linear(3072, 768), (16, 128, 3072)),
    "linear, 3072 outputs x 768 inputs": (lambda: nn.Linear(768, 3072), (16, 128, 768)),
    "convolution, 256 x 256 x 3 x 3": (lambda: nn.Conv2d(256, 256, 3, padding=1), (8, 256, 16, 16)),
}
PASSES = 8
LEVELS = ("0.5", "0.7", "0.8", "0.9", "2:4")
WAYS = (
    "magnitude", "wanda", "sparsegpt", "sparsegpt, layer after layer",
    "magnitude + least-squares", "sparsegpt + least-squares",
)  # fmt: skip


def mean_square(model: nn.Module, batch: Tensor) -> Tensor:
    """A loss that costs nothing beside the layer."""
    found: Tensor = model(batch)
    return found.square().mean()


def timed(what: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives, its seconds by the clock, and those of all its threads together."""
    clock, work = time.perf_counter(), time.process_time()
    found = what()
    return found, time.perf_counter() - clock, time.process_time() - work


def speeds(rounds: int) -> Iterator[tuple[str, ...]]:
    """One row for each layer and granularity."""
    for name, (build, shape) in LAYERS.items():
        for granularity in ("weight", "2:4"):
            found = [one_cut(build(), shape, granularity) for _ in range(rounds)]
            columns = [statistics.median(column) for column in zip(*found, strict=True)]
            yield (name, granularity, *(f"{seconds:.2f}" for seconds in columns))


def one_cut(net: nn.Module, shape: tuple[int, ...], granularity: str) -> tuple[float, ...]:
    """Seconds of passes alone, of gathering and of cutting, and the work of the last two."""
    torch.manual_seed(0)
    batches = [torch.randn(shape) for _ in range(PASSES)]
    with torch.no_grad():
        _, passes, _ = timed(lambda: [mean_square(net, batch) for batch in batches])
    known, gathering, gathered = timed(lambda: gather(net, [MOMENTS], batches, mean_square))
    method = find_method("sparsegpt")
    settings = method_settings(method.name, method.options, {"granularity": granularity}, "here")
    parts = parts_of(method, settings)
    statistic = Statistics(gathered=known)
    _, cutting, worked = timed(lambda: cut(net, parts, [0.5], statistics=statistic))
    return passes, gathering, cutting, gathering + cutting, gathered + worked


def scores(case: Case, seed: int) -> Iterator[tuple[str, str, Fraction]]:
    """Level, way and accuracy of one seed; of the dense net without a level."""
    data = case.load()
    torch.manual_seed(seed)
    net = case.build(data.shape, data.classes)
    spec = TrainingSpec(batch_size=32, schedule="cosine")
    fit(net, data, spec, epochs=case.epochs, seed=seed, device="cpu")
    net.eval()
    yield "", "", accuracy(net, data)
    order = torch.Generator().manual_seed(seed)
    batches = list(islice(data.batches("train", BATCH, generator=order), BATCHES))
    for level in LEVELS:
        for way in WAYS:
            own = copy.deepcopy(net)
            prune_by(own, way, level, batches)
            yield level, way, accuracy(own, data)


def prune_by(net: nn.Module, way: str, level: str, batches: Sequence[Any]) -> None:
    """Cut a net in one of the ways."""
    method, _, rest = way.partition(" + ")
    method, _, after = method.partition(", ")
    asked: dict[str, Any] = {"granularity": level} if ":" in level else {"sparsity": float(level)}
    asked |= {
        "data": batches,
        "loss": lambda model, batch: cross_entropy(model(batch[0]), batch[1]),
    }
    if method == "magnitude":
        asked["ranking"] = "layer"
    masks = None
    for only in prunable_weights(net) if after else [()]:
        masks = secateur.prune(net, method, only=only, previous=masks, **asked)
    if rest and masks is not None:
        secateur.repair(net, masks, batches, rest)


def qualities(names: Sequence[str], seeds: int) -> Iterator[tuple[str, ...]]:
    """One row for each net and level."""
    for name in names:
        found: dict[tuple[str, str], list[Fraction]] = {}
        for seed in range(seeds):
            for level, way, value in scores(CASES[name], seed):
                found.setdefault((level, way), []).append(value)
            print(name, "seed", seed, "done", file=sys.stderr, flush=True)
        for level in LEVELS:
            values = [found["", ""], *(found[level, way] for way in WAYS)]
            yield (name, level, *(str(estimate(one)) for one in values))


def main() -> None:
    """Run it and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quality", action="store_true", help="accuracies, and no times")
    parser.add_argument("--nets", default="lenet-5,vgg-like", help="with commas, of repair.py")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of layers with too few inputs for 2:4
    torch.set_num_threads(1 if asked.quality else 2)
    if asked.quality:
        write_report(
            asked.out,
            title="What reconstruction is worth before any retraining",
            head=("net", "level", "dense", *WAYS),
            rows=list(qualities(asked.nets.split(","), asked.seeds)),
            runs=asked.seeds,
            notes="Validation accuracy, mean and 95 % band over seeds; 512 training images. Every "
            "layer loses the same share of its weights. `layer after layer` gathers the inputs of "
            "each layer from the net whose layers before it are cut, as the paper does.",
        )
        return
    head = ("passes, s", "gathering, s", "cutting, s", "both, s", "both, s of work")
    write_report(
        asked.out,
        title="What pruning with reconstruction costs",
        head=("layer", "granularity", *head),
        rows=list(speeds(asked.rounds)),
        runs=asked.rounds,
        notes=f"Medians, float32, two threads; {PASSES} batches of 2048 rows or places. `passes` "
        "are those batches through the layer alone; `work` is what all threads have computed.",
    )


if __name__ == "__main__":
    main()
