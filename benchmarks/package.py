"""The torch-free package: what it takes to import, on disk, and for a pass, beside torch's.

    python benchmarks/package.py --out benchmarks/package.md

`resnet20` and `conv4`, pruned to a tenth by magnitude; each process is a fresh one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

import secateur
from report import write_report
from secateur import models
from secateur.measure.latency import compare_within, torch_threads
from secateur.runtime.portable.net import Net

NETS = {"conv4": (1, 28, 28), "resnet20": (3, 32, 32)}
BATCHES = (1, 64)
_IMPORT = """
import sys, time
sys.path.insert(0, {folder!r})
begun = time.perf_counter()
{code}
print(time.perf_counter() - begun)
"""
_CODES = {
    "numpy alone": "import numpy",
    "the package, loaded": "from secateur_runtime import Net; Net({plan!r})",
    "torch alone": "import torch",
    "secateur.load and compile": "import secateur, torch; from secateur import models; "
    "net = secateur.load({file!r}, lambda: models.build({name!r}, {shape!r}, 10)); "
    "secateur.compile(net, torch.zeros(1, *{shape!r}), seconds=0)",
}


def imports(runs: int, **words: object) -> dict[str, float]:
    """Milliseconds in a fresh process, the median of some."""
    found = {}
    for name, code in _CODES.items():
        text = _IMPORT.format(code=code.format(**words), **words)
        times = []
        for _ in range(runs):
            done = subprocess.run([sys.executable, "-c", text], capture_output=True, check=True)
            times.append(float(done.stdout))
        found[name] = 1000 * median(times)
    return found


def passes(net: nn.Module, run: Net, shape: tuple[int, ...], seconds: float) -> Iterator[str]:
    """At each size of the batch: the package and the engine, interleaved, on one thread."""
    for batch in BATCHES:
        inputs = torch.rand(batch, *shape)
        with torch_threads(1):
            engine = secateur.compile(net, inputs, threads=1, batches=[batch], spins=False)
            runs = {"package": partial(run, inputs.numpy()), "engine": partial(engine, inputs)}
            times = compare_within(runs, seconds, rounds=(20, 1000), rest=0.001)
        alone, engined = (1000 * times[name].median for name in runs)
        yield f"{alone:.3g} / {engined:.3g} ({engine.choice(batch).backend})"


def difference(net: nn.Module, run: Net, shape: tuple[int, ...]) -> float:
    inputs = torch.rand(64, *shape)
    with torch.no_grad():
        return float(np.abs(run(inputs.numpy()) - net(inputs).numpy()).max())


def row(name: str, shape: tuple[int, ...], seconds: float, runs: int) -> list[str]:
    torch.manual_seed(0)
    net = models.build(name, shape, 10).eval()
    secateur.prune(net, "magnitude", sparsity=0.9)
    dense = sum(4 * one.numel() for one in net.parameters())
    with tempfile.TemporaryDirectory() as made:
        folder = secateur.package(net, torch.zeros(1, *shape), Path(made, "package"))
        file, plan = Path(made, "net.safetensors"), folder / "net.plan"
        secateur.save(net, file)
        whole = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
        told = imports(
            runs, folder=str(folder), plan=str(plan), file=str(file), name=name, shape=shape
        )
        run = Net(plan)
        return [
            name,
            *(f"{number:,}" for number in (dense, plan.stat().st_size, whole)),
            *(f"{told[one]:.0f}" for one in _CODES),
            *passes(net, run, shape, seconds),
            f"{difference(net, run, shape):.1e}",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    write_report(
        given.out,
        title="The torch-free package",
        head=[
            *("net", "float32 weights, bytes", "net.plan, bytes", "folder, bytes"),
            *(f"{one}, ms" for one in _CODES),
            *(f"pass at batch {batch}, ms: package / engine" for batch in BATCHES),
            "largest difference from torch",
        ],
        rows=[row(name, NETS[name], given.seconds, given.runs) for name in given.nets.split(",")],
        runs=given.runs,
        notes="Imports: the median of fresh processes, the files in the system's cache. Passes: "
        "the medians of interleaved rounds on one thread.",
    )


if __name__ == "__main__":
    main()
