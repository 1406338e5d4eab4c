"""Retraining `conv4` with half of its filters cut: on masks, and on the compact net.

    python benchmarks/structured.py [--epochs 2] [--seeds 3] [--out benchmarks/structured.md]

For each seed a dense net is trained, cut by `l1-filter` at 0.5, and retrained both ways from the
same weights, on all of `fashion-mini`, one after the other. Accuracy is on the validation split.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from fractions import Fraction
from pathlib import Path

import torch

import secateur
import secateur.data
from report import write_report
from secateur.channels import compact_with_record
from secateur.models.conv4 import conv4
from secateur.study.aggregate import estimate
from secateur.training.device import prepare_process
from secateur.training.fit import fit
from secateur.training_settings import TrainingSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-epochs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    prepare_process(options.threads)
    data = secateur.data.load("fashion-mini")
    spec = TrainingSpec(batch_size=64)
    seconds: dict[str, list[float]] = {"on masks": [], "on the compact net": []}
    accuracy: dict[str, list[float]] = {"on masks": [], "on the compact net": []}
    for seed in range(options.seeds):
        torch.manual_seed(seed)
        base = conv4(data.shape, data.classes)
        fit(base, data, spec, epochs=options.base_epochs, seed=seed, device="cpu")
        example = data.example(2)
        masks = secateur.prune(base, "l1-filter", sparsity=0.5, example_inputs=example)
        for how in seconds:
            begun = time.perf_counter()
            net, held = copy.deepcopy(base), masks
            if how == "on the compact net":
                # Its making belongs to the price.
                net, held = compact_with_record(base, masks, example, fold=False).model, None
            curve = fit(
                net, data, spec, epochs=options.epochs, seed=seed + 100, masks=held, device="cpu"
            )
            seconds[how].append(time.perf_counter() - begun)
            accuracy[how].append(curve[-1].val)
            print(seed, how, seconds[how][-1], accuracy[how][-1], flush=True)
    quotients = [
        masked / small
        for masked, small in zip(seconds["on masks"], seconds["on the compact net"], strict=True)
    ]
    rows = [
        (
            how,
            f"{statistics.median(taken):.1f}",
            f"{min(taken):.1f} to {max(taken):.1f}",
            str(estimate([Fraction(round(each * 2000), 2000) for each in accuracy[how]])),
        )
        for how, taken in seconds.items()
    ]
    write_report(
        options.out,
        title="Structured retraining at half of the filters",
        head=("retrained", "seconds (median)", "spread", "val accuracy, 95 % band"),
        rows=rows,
        runs=options.seeds,
        notes=f"Faster by {statistics.median(quotients):.2f} (median of the quotients within a "
        f"seed; {min(quotients):.2f} to {max(quotients):.2f}).",
    )


if __name__ == "__main__":
    main()
