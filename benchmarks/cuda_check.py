"""Every step of the library on a device, beside the same step on the CPU: what passes, what fails.

    PYTHONPATH=src python benchmarks/cuda_check.py --device cuda [--out benchmarks/cuda_check.md]

Needs torch and what secateur itself needs; under four minutes on a GPU, one on two cores with
`--device cpu`. Exit code 1 if anything fails. A check that lacks an optional package is skipped.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

import secateur
from report import write_report
from secateur.data.loading import load
from secateur.errors import SecateurError
from secateur.measure.environment import environment
from secateur.measure.latency import latency
from secateur.registry import REPAIRS

SHAPE = (3, 16, 16)
CLASSES = 4
STUDY = {
    "methods": ["magnitude", "l1-filter", "slimming", "dense"],
    "levels": [0.5, 0.8],
    "seeds": 1,
    "base_epochs": 1,
    "retrain_epochs": 1,
}


class SkippedError(Exception):
    """A check that cannot be made here."""


class Block(nn.Module):
    """A residual block: channels that are tied, a norm for each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.second(torch.relu(self.norm(self.first(x)))))


def build() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 32),
        nn.ReLU(),
        nn.Linear(32, CLASSES),
    )


@dataclass
class Bench:
    """The device, a net and an example on it, and the same on the CPU."""

    device: torch.device
    folder: Path
    checks: dict[str, Callable[[], str]] = field(default_factory=dict)

    def net(self, device: torch.device | str | None = None) -> nn.Module:
        return build().to(device or self.device)

    def images(self, count: int = 8, device: torch.device | str | None = None) -> torch.Tensor:
        made = torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(1))
        return made.to(device or self.device)

    def both(self, method: str, sparsity: float = 0.6) -> tuple[nn.Module, secateur.Masks]:
        """Prune a net here and its twin on the CPU; the masks must be the same."""
        here, twin = self.net(), self.net("cpu")
        masks = secateur.prune(here, method, sparsity=sparsity, example_inputs=self.images())
        wanted = secateur.prune(
            twin, method, sparsity=sparsity, example_inputs=self.images(device="cpu")
        )
        expect(masks.keys() == wanted.keys(), "other weights are masked than on the CPU")
        for name, mask in masks.items():
            expect(torch.equal(mask.cpu(), wanted[name].cpu()), f"{name}: another mask")
        self.at_home(here)
        return here, masks

    def at_home(self, net: nn.Module) -> None:
        """Every tensor of a net is on the device."""
        for name, tensor in net.state_dict().items():
            expect(tensor.device == self.device, f"{name} is on {tensor.device}")


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def close(got: torch.Tensor, wanted: torch.Tensor, within: float = 1e-4) -> str:
    difference = float((got.detach().double().cpu() - wanted.detach().double().cpu()).abs().max())
    scale = float(wanted.detach().double().abs().max())
    expect(scale > 1e-6, "an output of zeros proves nothing")
    expect(difference <= within * scale, f"differ by {difference / scale:.1e} of the largest")
    return f"within {difference / scale:.0e}"


def zeros_hold(net: nn.Module, masks: secateur.Masks) -> None:
    state = net.state_dict()
    for name, mask in masks.items():
        expect(not bool(state[name][~mask.to(state[name].device)].any()), f"{name} grew back")


def step(net: nn.Module, optimizer: torch.optim.Optimizer, bench: Bench) -> None:
    labels = torch.arange(8, device=bench.device) % CLASSES
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(bench.images()), labels).backward()
    optimizer.step()


# ---- the checks: each returns a word about what it saw ------------------------------------------


def classes_are_the_cpus(bench: Bench) -> str:
    here = secateur.trace(bench.net(), bench.images()).groups("all")
    there = secateur.trace(bench.net("cpu"), bench.images(device="cpu")).groups("all")
    expect(here.count == there.count, f"{here.count} groups, on the CPU {there.count}")
    return f"{here.count} groups"


def pruned_as_on_the_cpu(method: str) -> Callable[[Bench], str]:
    def check(bench: Bench) -> str:
        net, _ = bench.both(method)
        prunable = secateur.sparsity(net).prunable
        return f"{prunable[0]} of {prunable[1]} weights are zero"

    return check


def repaired_as_on_the_cpu(how: str) -> Callable[[Bench], str]:
    def check(bench: Bench) -> str:
        outputs = []
        for device in (bench.device, torch.device("cpu")):
            net, images = bench.net(device), bench.images(device=device)
            masks = secateur.prune(net, "l1-filter", sparsity=0.5, example_inputs=images)
            # The batches may lie elsewhere.
            secateur.repair(net, masks, bench.images(32, "cpu").split(16), how)
            zeros_hold(net, masks)
            if device == bench.device:
                bench.at_home(net)
            outputs.append(net.eval()(images))
        return close(*outputs, within=1e-3)

    return check


def frozen_in_a_loop(kind: str) -> Callable[[Bench], str]:
    made: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "sgd": lambda p, fused: torch.optim.SGD(
            p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True, fused=fused
        ),
        "adamw": lambda p, fused: torch.optim.AdamW(p, lr=0.01, fused=fused),
    }

    def check(bench: Bench) -> str:
        net, masks = bench.both("magnitude")
        before = net[0].weight.detach().clone()
        fused = bench.device.type == "cuda"
        optimizer = made[kind](net.parameters(), fused)
        with masks.freeze(optimizer, net):
            for _ in range(10):
                step(net, optimizer, bench)
        zeros_hold(net, masks)
        expect(not torch.equal(before, net[0].weight), "nothing was trained")
        return "fused" if fused else "not fused"

    return check


def frozen_under_a_scaler(bench: Bench) -> str:
    net, masks = bench.both("l1-filter")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    half = torch.float16 if bench.device.type == "cuda" else torch.bfloat16
    scaler = torch.amp.GradScaler(bench.device.type, enabled=half is torch.float16)
    labels = torch.arange(8, device=bench.device) % CLASSES
    with masks.freeze(optimizer, net):
        for _ in range(5):
            optimizer.zero_grad()
            with torch.autocast(bench.device.type, half):
                loss = nn.functional.cross_entropy(net(bench.images()), labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    zeros_hold(net, masks)
    return f"autocast to {half}"


def compact_is_the_same_function(bench: Bench, dtype: torch.dtype = torch.float32) -> str:
    net, masks = bench.both("l1-filter")
    net = net.eval().to(dtype)
    state = copy.deepcopy(net.state_dict())
    example = bench.images().to(dtype)
    small = secateur.compact(net, masks, example).eval()
    bench.at_home(small)
    expect(all(torch.equal(state[k], v) for k, v in net.state_dict().items()), "the net changed")
    with torch.no_grad():
        word = close(small(example), net(example))
    fewer = sum(p.numel() for p in small.parameters()), sum(p.numel() for p in net.parameters())
    expect(fewer[0] < fewer[1], "nothing was taken out")
    optimizer = torch.optim.SGD(small.train().float().parameters(), lr=0.01)
    step(small, optimizer, bench)
    return f"{word}, {fewer[0]} of {fewer[1]} parameters"


def compact_in_float64(bench: Bench) -> str:
    return compact_is_the_same_function(bench, torch.float64)


def pruned_in_half(bench: Bench) -> str:
    half = torch.float16 if bench.device.type == "cuda" else torch.bfloat16
    net = bench.net().eval().to(half)
    example = bench.images().to(half)
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, example_inputs=example)
    with torch.no_grad():
        small = secateur.compact(net, masks, example)
        return f"{half}, {close(small(example), net(example), 0.02)}"


def channels_last(bench: Bench) -> str:
    net = bench.net().eval().to(memory_format=torch.channels_last)
    example = bench.images().to(memory_format=torch.channels_last)
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, example_inputs=example)
    with torch.no_grad():
        return close(secateur.compact(net, masks, example)(example), net(example))


def saved_and_loaded(bench: Bench) -> str:
    net, masks = bench.both("l1-filter")
    net.eval()
    small = secateur.compact(net, masks, bench.images()).eval()
    path = bench.folder / "small.safetensors"
    secateur.save(small, path, masks)
    back = secateur.load(path, build)
    for name, tensor in small.state_dict().items():
        expect(torch.equal(tensor.cpu(), back.state_dict()[name]), f"{name}: other bits")
    with torch.no_grad():
        return close(back.to(bench.device)(bench.images()), small(bench.images()))


def inspected(bench: Bench) -> str:
    net, masks = bench.both("magnitude")
    path = bench.folder / "sparse.safetensors"
    secateur.save(net, path, masks)
    found = secateur.inspect(path)
    expect(bool(found.layers), "no layers")
    return f"{len(found.layers)} layers"


def costs_are_the_cpus(bench: Bench) -> str:
    net, _ = bench.both("magnitude")
    here = secateur.cost(net, bench.images(1))
    there = secateur.cost(copy.deepcopy(net).cpu(), bench.images(1, "cpu"))
    expect(here == there, f"{here} and on the CPU {there}")
    return f"{here.macs} MACs"


def timed(bench: Bench) -> str:
    measured = latency(bench.net().eval(), bench.images(), batch=32, repeats=20)
    expect(0 < measured.q1 <= measured.median, "no time")
    return f"{measured.median * 1e3:.2f} ms a batch of 32"


def compiled_for_the_cpu(bench: Bench) -> str:
    net, _ = bench.both("magnitude", 0.9)
    net.eval()
    engine = secateur.compile(net, bench.images(), seconds=0)
    bench.at_home(net)
    with torch.no_grad():
        word = close(engine(bench.images(device="cpu")), net(bench.images()), 1e-3)
    if bench.device.type != "cpu":
        refuses(lambda: engine(bench.images()), "dense, on the CPU")
    return f"{word}, {engine.choices[8].backend}"


def sparse_layers_stay_off_the_device(bench: Bench) -> str:
    """The kernels are the CPU's: a net elsewhere is refused by name, or runs there and is right."""
    net, _ = bench.both("magnitude", 0.95)
    net.eval()
    wanted = net(bench.images())
    try:
        got = secateur.sparsify(net)(bench.images())
    except SecateurError as error:
        return f"refused: {type(error).__name__}"
    return close(got, wanted, 1e-3)


def retrained_sparsely(bench: Bench) -> str:
    net, masks = bench.both("magnitude", 0.9)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    try:
        with secateur.sparse_retraining(net, masks), masks.freeze(optimizer, net):
            for _ in range(3):
                step(net, optimizer, bench)
    except SecateurError as error:
        return f"refused: {type(error).__name__}"
    zeros_hold(net, masks)
    return "zeros hold"


def fitted_twice_to_the_same_bits(bench: Bench) -> str:
    data = load("shapes", train=256, val=64, test=64, size=16)
    ends = []
    for _ in range(2):
        torch.manual_seed(0)
        net = secateur_conv4(data)
        masks = secateur.prune(net, "magnitude", sparsity=0.8)
        curve = secateur.fit(net, data, epochs=2, masks=masks, device=str(bench.device))
        zeros_hold(net, masks)
        ends.append((curve, {k: v.cpu() for k, v in net.state_dict().items()}))
    (first, one), (second, two) = ends
    same = first == second and all(torch.equal(one[name], two[name]) for name in one)
    expect(same or bench.device.type != "cpu", "two runs differ")
    accuracy = secateur.evaluate(net, data, data.test)
    return f"{'the same bits' if same else 'NOT the same bits'}, test accuracy {accuracy.value:.2f}"


def secateur_conv4(data: object) -> nn.Module:
    from secateur import models

    return models.build("conv4", data.shape, data.classes)  # type: ignore[attr-defined]


def slimmed(bench: Bench) -> str:
    data = load("shapes", train=256, val=64, test=64, size=16)
    net = bench.net("cpu")
    net[-1] = nn.Linear(32, data.classes)
    net[0] = nn.Conv2d(data.shape[0], 16, 3, padding=1)
    statistics, _ = secateur.slim(net, data, epochs=1, penalty=1e-3, device=str(bench.device))
    net, example = net.to(bench.device), data.example(2).to(bench.device)
    masks = secateur.prune(
        net, "slimming", sparsity=0.5, example_inputs=example, statistics=statistics
    )
    small = secateur.compact(net.eval(), masks, example)
    with torch.no_grad():
        return close(small(example), net(example))


def swept(bench: Bench) -> str:
    folder = bench.folder / "run"
    data = load("shapes", train=256, val=64, test=64, size=16)
    device = "cuda" if bench.device.type == "cuda" else str(bench.device)
    found = secateur.sweep("conv4", data, out=folder, device=device, **STUDY)
    points = found.points
    expect(not found.failures, f"failed: {found.failures}")
    expect({point.method for point in points} == set(STUDY["methods"]), "methods are missing")
    expect(all(point.latency for point in points), "points without a latency")
    again = secateur.sweep("conv4", data, out=folder, device=device, **STUDY)
    expect(again.points == points, "a second sweep changed something")
    return f"{len(points)} points, the second time none"


def exported(bench: Bench) -> str:
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript")):
        raise SkippedError("onnx is not installed")
    net, masks = bench.both("l1-filter")
    small = secateur.compact(net.eval(), masks, bench.images()).eval()
    path = bench.folder / "small.onnx"
    secateur.export_onnx(small, bench.images(1), path)
    return f"{path.stat().st_size} bytes"


def an_example_elsewhere_is_refused(bench: Bench) -> str:
    if bench.device.type == "cpu":
        raise SkippedError("one device only")
    return refuses(
        lambda: secateur.prune(
            bench.net(), "l1-filter", sparsity=0.5, example_inputs=bench.images(device="cpu")
        ),
        "",
    )


def an_absent_device_is_refused(bench: Bench) -> str:
    data = load("shapes", train=64, val=16, test=16, size=16)
    return refuses(lambda: secateur.fit(bench.net("cpu"), data, epochs=1, device="cuda:99"), "")


def refuses(call: Callable[[], object], words: str) -> str:
    try:
        call()
    except SecateurError as error:
        expect(words in str(error), f"says {error}")
        return f"refused: {type(error).__name__}"
    raise AssertionError("not refused")


CHECKS: dict[str, Callable[[Bench], str]] = {
    "trace: classes as on the CPU": classes_are_the_cpus,
    "prune magnitude: masks as on the CPU": pruned_as_on_the_cpu("magnitude"),
    "prune l1-filter: masks as on the CPU": pruned_as_on_the_cpu("l1-filter"),
    "prune combined: masks as on the CPU": pruned_as_on_the_cpu("combined"),
    "prune and compact in half precision": pruned_in_half,
    "prune and compact, channels_last": channels_last,
    **{f"repair by {how}: as on the CPU": repaired_as_on_the_cpu(how) for how in REPAIRS},
    "freeze + SGD": frozen_in_a_loop("sgd"),
    "freeze + AdamW": frozen_in_a_loop("adamw"),
    "freeze under autocast and a scaler": frozen_under_a_scaler,
    "compact: same function, trains on": compact_is_the_same_function,
    "compact in float64": compact_in_float64,
    "save, load, load back on the device": saved_and_loaded,
    "inspect": inspected,
    "cost: as on the CPU": costs_are_the_cpus,
    "latency": timed,
    "compile: the engine, on the CPU": compiled_for_the_cpu,
    "sparsify": sparse_layers_stay_off_the_device,
    "sparse_retraining": retrained_sparsely,
    "fit with masks, twice": fitted_twice_to_the_same_bits,
    "slim, prune slimming, compact": slimmed,
    "sweep, and again": swept,
    "export_onnx": exported,
    "an example on another device": an_example_elsewhere_is_refused,
    "an absent device": an_absent_device_is_refused,
}


def outcome(check: Callable[[Bench], str], bench: Bench) -> tuple[str, str]:
    try:
        return "pass", check(bench)
    except SkippedError as error:
        return "skip", str(error)
    except AssertionError as error:
        return "FAIL", str(error)
    except Exception as error:
        traceback.print_exc()
        return "FAIL", f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="Checks whose name holds this word.")
    options = parser.parse_args()
    # TensorFloat-32 would hide what the device computes otherwise.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = torch.device(options.device)
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
    rows, began = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, check in CHECKS.items():
            if options.only not in name:
                continue
            bench, begun = Bench(device, Path(tempfile.mkdtemp(dir=folder))), time.perf_counter()
            result, word = outcome(check, bench)
            rows.append((name, result, word, f"{time.perf_counter() - begun:.1f}"))
            print(*rows[-1], sep=" | ", flush=True)
    results = [row[1] for row in rows]
    write_report(
        options.out,
        title=f"Every step on {environment(device)['device']}",
        head=("check", "result", "seen", "s"),
        rows=rows,
        runs=1,
        notes=f"{results.count('pass')} pass, {results.count('FAIL')} fail, "
        f"{results.count('skip')} skipped, {time.perf_counter() - began:.0f} s; on {device}.",
    )
    sys.exit("FAIL" in results)


if __name__ == "__main__":
    main()
