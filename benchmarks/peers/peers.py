"""Peers beside ours: the same base net, the same data, the same total budget, in one run.

    pip install torch-pruning==1.6.1; pip install --no-deps fasterai==0.4.1 fastcore einops
    PYTHONPATH=src python benchmarks/peers/peers.py [--workers 1]

First `peers.toml` is swept, latencies included. Then every peer cuts the sweep's own base nets and
retrains them for as many epochs as are left of the same total. Structured methods are asked for
shares of the multiply-adds, all others for sparsities. Results: `peers.json`.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))
sys.path.insert(0, str(Path(__file__).parent))
import torch
from methods import PEERS, VERSION, Peer, finish
from nets import resnet8
from results import found_in, write
from torch import nn

from secateur import export_onnx
from secateur.artifact.save import saved_size
from secateur.data.data import Data
from secateur.foundation.onnx_session import open_session
from secateur.measure.cost import cost
from secateur.measure.latency import latency
from secateur.spec import StudySpec, read_study
from secateur.study.checkpoint import load_checkpoint
from secateur.study.folder import checkpoint_name
from secateur.study.planned import plan_study
from training import Split, correct, train, whole

HERE = Path(__file__).parent
LEVELS = {True: (0.5, 0.25), False: (0.8, 0.9, 0.95)}
BATCHES = (1, 32)


def sweep(folder: Path, workers: int) -> float:
    """Ours; the seconds that all of it took."""
    command = [sys.executable, "-m", "secateur", "sweep", str(HERE / "peers.toml"), "--quiet"]
    command += ["--out", str(folder), "--device", "cpu"]
    command += ["--workers", str(workers), "--threads", "1"]
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.monotonic() - begun


def bases(study: StudySpec, folder: Path) -> Iterator[tuple[int, nn.Module, Data]]:
    """Of each seed the base net that ours were cut from."""
    planned = plan_study(study, folder)
    for run in planned.runs:
        if run.is_base:
            net = resnet8(planned.data.shape, planned.data.classes)
            net.load_state_dict(load_checkpoint(folder / checkpoint_name(run.digest))[0])
            yield run.seed, net, planned.data


def measured(net: nn.Module, example: torch.Tensor, splits: dict[str, Split]) -> dict[str, Any]:
    """What is said of every net, ours and theirs alike."""
    net.eval()
    price = cost(net, example)
    return {
        **{name: correct(net, split) for name, split in splits.items() if name != "train"},
        "nonzero": sum(int(p.count_nonzero()) for p in net.parameters()),
        "macs": price.macs,
        "bytes": saved_size(net, example_inputs=example),
        "latency": [
            ["torch", size, one.median, one.q1, one.q3]
            for size in BATCHES
            for one in [latency(net, example, batch=size, threads=1)]
        ],
    }


def run_peer(
    name: str, peer: Peer, level: float, base: nn.Module, data: Data, seed: int, epochs: int
) -> dict[str, Any]:
    """Cut, retrain and measure one net."""
    splits = {split: whole(data, split) for split in ("train", "val", "test")}
    example = data.example(2)
    begun = time.monotonic()
    net = peer.cut(copy.deepcopy(base), example, splits["train"], level, seed)
    train(net, splits["train"], epochs - peer.epochs, seed=seed)
    took = time.monotonic() - begun
    asked = f"macs={level}" if peer.structured else str(level)
    facts = {"method": name, "level": asked, "seed": seed, "structured": peer.structured}
    return {**facts, "seconds": round(took, 2), **measured(finish(net), example, splits)}


def quantized(net: nn.Module, data: Data, seed: int) -> list[dict[str, Any]]:
    """ONNX Runtime's static INT8 of the dense net, and its FP32 beside it."""
    from onnxruntime import quantization

    splits = {split: whole(data, split) for split in ("val", "test")}
    images = whole(data, "train")[0][:200]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder, "dense.onnx"), Path(folder, "int8.onnx")
        export_onnx(net.eval(), data.example(2), plain)
        name = open_session(str(plain), threads=1).get_inputs()[0].name
        reader = _Reader(name, images)
        quantization.quantize_static(plain, small, reader, per_channel=True)
        for what, path in (("ONNX Runtime FP32", plain), ("ONNX Runtime INT8", small)):
            session = open_session(str(path), threads=1)

            def answer(x: torch.Tensor, session: Any = session) -> torch.Tensor:
                return torch.from_numpy(session.run(None, {name: x.numpy()})[0])

            found.append(
                {
                    "method": what, "level": "-", "seed": seed, "structured": False,
                    **{split: correct(answer, each) for split, each in splits.items()},
                    "bytes": path.stat().st_size,
                    "latency": [_timed(answer, images[:size], size) for size in BATCHES],
                }
            )  # fmt: skip
    return found


class _Reader:
    """Calibration images, one batch at a time, as ONNX Runtime asks for them."""

    def __init__(self, name: str, images: torch.Tensor) -> None:
        self.batches = iter([{name: batch.numpy()} for batch in images.split(20)])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.batches, None)


def _timed(answer: Any, images: torch.Tensor, size: int, runs: int = 50) -> list[Any]:
    times = []
    for _ in range(runs + 5):
        begun = time.perf_counter()
        answer(images)
        times.append(time.perf_counter() - begun)
    times = sorted(times[5:])
    return ["onnxruntime", size, times[runs // 2], times[runs // 4], times[3 * runs // 4]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/peers"))
    parser.add_argument("--seeds", type=int, help="the first so many of the base nets")
    parser.add_argument("--out", type=Path, default=HERE / "peers.json")
    asked = parser.parse_args()
    study = read_study(HERE / "peers.toml")
    took = sweep(asked.work, asked.workers)
    found: list[dict[str, Any]] = []
    epochs = study.training.retrain_epochs
    for seed, base, data in list(bases(study, asked.work))[: asked.seeds]:
        for name, peer in PEERS.items():
            for level in LEVELS[peer.structured]:
                found.append(run_peer(name, peer, level, base, data, seed, epochs))
                print(found[-1], flush=True)
        dense = copy.deepcopy(base)
        train(dense, whole(data, "train"), epochs, seed=seed)
        found += quantized(dense, data, seed)
    ours = found_in(asked.work)
    write(
        asked.out,
        {
            "study": "peers",
            "seconds": round(took),
            "torch_pruning": VERSION,
            "environment": ours["environment"],
            "failures": ours["failures"],
            "hypervolumes": ours["hypervolumes"],
            "peers": found,
            "points": ours["points"],
        },
    )


if __name__ == "__main__":
    main()
