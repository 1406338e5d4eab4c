"""Targets on every reference net and on families of transformers: is what was asked for reached?

    python benchmarks/targets.py --out benchmarks/targets.md

Counts (MACs, parameters) and bytes are exact; a latency stands with its quartiles and is of the
machine at hand. Families need `transformers`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "channels"))
import secateur
import secateur.channels.rebuild
from report import write_report
from secateur import models
from secateur.errors import SecateurError
from secateur.measure.latency import latency
from secateur.point import Reached
from secateur.registry import MODELS

NAMES = ("bert", "gpt2", "llama", "vit", "swin", "regnet", "segformer", "t5_encoder", "distilbert",
         "electra")  # fmt: skip
HEAD = ("net", "method", "target", "limit", "reached", "of the limit", "sparsity", "seconds")


def nets(wanted: str) -> Iterator[tuple[str, nn.Module, Any]]:
    """Every reference net with its images, then the families with their own inputs."""
    for name in MODELS:
        size = 28 if name.startswith("lenet") else 32
        channels = 1 if name.startswith("lenet") else 3
        if wanted in name:
            torch.manual_seed(0)
            net = models.build(name, (channels, size, size), 10).eval()
            yield name, net, torch.randn(2, channels, size, size)
    from families import FAMILIES

    for name in NAMES:
        if wanted in name and name in FAMILIES:
            torch.manual_seed(0)
            net, inputs = FAMILIES[name]()
            yield name, net.eval(), inputs


def targets(
    net: nn.Module, example: Any, method: str
) -> Iterator[tuple[tuple[float, ...], Mapping[str, float]]]:
    """What is asked for: shares, the first one that can be reached, of these costs.

    The families are small here and mostly embeddings: half of their bytes is more than they have.
    """
    for cost in ("macs", "parameters", "bytes"):
        yield (0.5, 0.8, 0.9, 0.95), {cost: 1.0}
    if method != "magnitude":  # zeros alone take as long as any number in eager torch
        dense = 1e3 * latency(net, example, batch=8).median
        yield (0.8, 0.9, 0.95), {"latency_ms": dense, "batch": 8}


def reached(
    net: nn.Module, method: str, shares: Iterable[float], whole: Mapping[str, float], example: Any
) -> Reached | str:
    """What the first share that can be reached gives; else the words of the last refusal."""
    scope: Any = "all" if method == "l1-filter" else None
    said = ""
    for share in shares:
        asked = {name: one if name == "batch" else share * one for name, one in whole.items()}
        copied = secateur.channels.rebuild.rebuild(net, {})
        try:
            masks = secateur.prune(
                copied, method, target=asked, example_inputs=example, scope=scope
            )
        except SecateurError as error:
            said = str(error)[:160]
            continue
        if masks.reached is not None:
            return masks.reached
    return said


def rows(wanted: str) -> Iterator[tuple[object, ...]]:
    """One for each net, method and target."""
    for name, net, example in nets(wanted):
        for method in ("magnitude", "l1-filter"):
            for shares, whole in targets(net, example, method):
                begun = time.perf_counter()
                found = reached(net, method, shares, whole, example)
                if isinstance(found, str):
                    yield (name, method, next(iter(whole)), "", found, "", "", "")
                    continue
                shown = f"{found.cost:.6g}"
                if found.q1 != found.q3:
                    shown += f" ({found.q1:.4g} to {found.q3:.4g})"
                yield (
                    name, method, found.target, f"{found.limit:.6g}", shown,
                    f"{found.cost / found.limit:.4f}", f"{found.sparsity:.4f}",
                    f"{time.perf_counter() - begun:.1f}",
                )  # fmt: skip
                print(name, method, found.target, found.cost / found.limit, flush=True)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="nets whose name holds this")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    write_report(
        options.out,
        title="Targets",
        head=HEAD,
        rows=list(rows(options.only)),
        runs=1,
        notes="Of single weights (magnitude) MACs and parameters are those that are not zero; of "
        "channels, all of the compact net. A share of the limit below 0.99 is one unit (a channel "
        "with all that hangs together) short of it.",
    )


if __name__ == "__main__":
    main()
