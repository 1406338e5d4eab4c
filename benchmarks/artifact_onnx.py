"""ONNX Runtime beside torch, for every reference net pruned by every method.

    python benchmarks/artifact_onnx.py --out benchmarks/artifact_onnx.md

One file each, its batch norms given statistics that matter, run on batches of 1 and of 7; and the
safetensors file, read back with `load` alone, bit by bit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

import secateur
from report import write_report
from secateur import models
from secateur.artifact.export import export_onnx, session
from secateur.artifact.load import load
from secateur.artifact.manifest import Source
from secateur.artifact.save import save
from secateur.channels import compact_with_record
from secateur.errors import SecateurError
from secateur.pruning.criterion import Statistics
from secateur.registry import METHODS, MODELS

SHAPE = (3, 32, 32)
CLASSES = 10


def trained_alike(name: str) -> nn.Module:
    """A net whose batch norms do something, and whose outputs stay near 1."""
    torch.manual_seed(0)
    net = models.build(name, SHAPE, CLASSES)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    # A pass in training mode gives running statistics that fit the weights.
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        net.train()(torch.rand(32, *SHAPE))
    return net.eval()


def drawn_scales(net: nn.Module) -> Statistics | None:
    """For a net without batch norm: scales as sparsity training might have left them."""
    if any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        return None
    convs = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d)}
    return Statistics({f"{n}.weight": torch.rand(m.out_channels) for n, m in convs.items()})


def difference(net: nn.Module, path: Path, inputs: Tensor) -> float:
    """The largest one, as a share of the largest output: an untrained net's are far below 1."""
    given = torch.from_numpy(session(path).run(None, {"input": inputs.numpy()})[0])
    with torch.no_grad():
        expected = net(inputs)
    return float((given - expected).abs().max() / expected.abs().max())


def row(name: str, method: str, folder: Path) -> list[object]:
    net, example = trained_alike(name), torch.rand(2, *SHAPE)
    levels = [0.5] * len(METHODS[method].parts)
    masks = secateur.prune(
        net, method, sparsity=levels, example_inputs=example, statistics=drawn_scales(net)
    )
    small = compact_with_record(net, masks, example).model.eval()
    export_onnx(small, example, folder / "x.onnx")
    differences = [difference(small, folder / "x.onnx", torch.rand(n, *SHAPE)) for n in (1, 7)]
    source = Source(name=name, shape=list(SHAPE), classes=CLASSES)
    save(small, folder / "x.safetensors", masks, source=source)
    inputs = torch.rand(2, *SHAPE)
    with torch.no_grad():
        same = torch.equal(load(folder / "x.safetensors")(inputs), small(inputs))
    size = sum(p.numel() for p in small.parameters())
    return [name, method, f"{size:,}", *(f"{d:.1e}" for d in differences), "yes" if same else "NO"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            for method in (method for method in METHODS if METHODS[method].parts):
                try:
                    rows.append(row(name, method, Path(folder)))
                except SecateurError as error:
                    rows.append(
                        [name, method, "-", "-", "-", f"{error.given}, expected {error.expected}"]
                    )
                print(*rows[-1], file=sys.stderr, flush=True)
    write_report(
        options.out,
        title="Files of every reference net, pruned by every method at 0.5",
        head=["net", "method", "parameters", "ONNX, batch 1", "batch 7", "load bit-identical"],
        rows=rows,
        runs=1,
        notes="ONNX: the largest difference between ONNX Runtime and torch on random inputs, as a "
        "share of the largest output. A line without figures: the method has nothing to cut in "
        "this net, and says so. slimming of a net without batch norm ranks by scales drawn at "
        "random: sparsity training is not what is measured here.",
    )


if __name__ == "__main__":
    main()
