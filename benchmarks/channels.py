"""Trace and cut beside Torch-Pruning 1.6.1: the same nets, the same channels, in one run.

    pip install transformers torch-pruning==1.6.1
    OMP_NUM_THREADS=1 python benchmarks/channels.py [net ...] [--out benchmarks/channels.md]

Seconds are medians for finding the groups and cutting the same random channels (two fifths of
those that may go); `verified` adds the comparison with the masked net in float64 that is on by
default, and that Torch-Pruning does not do. Memory is the peak of the resident set (`VmHWM`) above
what it was when the work began, in a forked process of its own for each net and tool. `equal`
compares the outputs of the cut net with those of the masked one.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from report import write_report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "channels"))

from cutting import masked_copy, random_masks, run
from families import FAMILIES, TEXT, _build, ids, pixels

from secateur.channels import compact_with_record, trace
from secateur.errors import ChannelError
from secateur.models.conv4 import conv4
from secateur.models.lenet import lenet_5, lenet_300_100
from secateur.models.resnet import resnet20, resnet56
from secateur.models.vgg import vgg16_bn
from secateur.pruning.groups import Groups

RUNS, LONG, PATIENCE = 3, 50_000_000, 25
HEAD = ("net", "parameters", "trace", "cut", "total", "verified", "peak MiB", "result")
HEAD_THEIRS = ("TP total", "TP peak MiB", "TP result", "TP / ours")


def reference(build: Callable[[], nn.Module], *shape: int) -> Callable[[], tuple[nn.Module, Any]]:
    return lambda: (build(), torch.randn(1, *shape))


def standard(name: str, inputs: Callable[[], Any], **settings: Any) -> Callable[[], Any]:
    return lambda: _build(name, settings, inputs())


LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
NETS: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "lenet_300_100": reference(lenet_300_100, 1, 28, 28),
    "lenet_5": reference(lenet_5, 1, 28, 28),
    "conv4": reference(conv4, 3, 25, 25),
    "resnet20": reference(resnet20, 3, 32, 32),
    "resnet56": reference(resnet56, 3, 32, 32),
    "vgg16_bn": reference(vgg16_bn, 3, 32, 32),
    **FAMILIES,
}
STANDARD: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "resnet-50": standard("ResNet", lambda: pixels(64)),
    "vit-base": standard("ViT", lambda: pixels(32), image_size=32, patch_size=16),
    "bert-base": standard("Bert", ids),
    "gpt2-small": standard("GPT2", lambda: ids(use_cache=False)),
    "bert-large": standard("Bert", ids, **{**TEXT, **LARGE, "intermediate_size": 4096}),
}
NETS |= STANDARD


def rows_to_cut(groups: Groups, dead: Tensor) -> dict[str, list[int]]:
    """By layer, the outputs that leave, for the layer that computes each group first."""
    rows: dict[str, list[int]] = {}
    for slot in groups.slots:
        path = slot.parameter.rpartition(".")[0]
        if slot.role == "write" and path in groups.layers and path not in rows:
            own = groups.layer[slot.groups.clamp(min=0)] == groups.layers.index(path)
            gone = (slot.groups >= 0) & own & dead[slot.groups.clamp(min=0)]
            rows[path] = gone.nonzero().flatten().tolist()
    return rows


def close(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(
        a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-4)
        for a, b in zip(left, right, strict=True)
    )


def clock(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def memory(field: str) -> float:
    """A line of `/proc/self/status`, in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise ValueError(field)


def peak(work: Callable[[], Any]) -> tuple[float, Any]:
    """How far the resident set rose above where it began, in MiB."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = memory("VmRSS")
    result = work()
    return memory("VmHWM") - before, result


def runs_of(model: nn.Module) -> int:
    """Three runs, one of a net that takes long."""
    return RUNS if sum(p.numel() for p in model.parameters()) < LONG else 1


def ours(model: nn.Module, inputs: Any) -> dict[str, Any]:
    """Seconds, peak and verdict of one net."""
    try:
        masks, _ = random_masks(model, trace(model, inputs).groups("all"), 0.4, 0)
    except ChannelError:
        return {"result": "refused"}
    tracing = []

    def whole(verify: bool) -> Any:
        seconds, found = clock(lambda: trace(model, inputs))
        tracing.append(seconds)
        found.groups("all")
        return compact_with_record(model, masks, inputs, verify=verify, traced=found)

    risen, record = peak(lambda: whole(True))
    equal = close(run(record.model.eval(), inputs), run(masked_copy(model, masks), inputs))
    del record
    total = [clock(lambda: whole(False))[0] for _ in range(runs_of(model))]
    verified = [clock(lambda: whole(True))[0] for _ in range(runs_of(model))]
    return {
        "trace": statistics.median(tracing[1:]),
        "total": statistics.median(total),
        "verified": statistics.median(verified),
        "peak": risen,
        "result": "equal" if equal else "DIFFERS",
    }


def theirs(model: nn.Module, inputs: Any) -> dict[str, Any]:
    """The same of Torch-Pruning, which changes the net it is given."""
    import torch_pruning as tp

    groups = trace(model, inputs).groups("all")
    masks, dead = random_masks(model, groups, 0.4, 0)
    rows = rows_to_cut(groups, dead)

    def cut(victim: nn.Module) -> None:
        graph = tp.DependencyGraph().build_dependency(victim, example_inputs=inputs)
        for path, index in rows.items():
            module = victim.get_submodule(path)
            if index:
                prune = graph.get_pruner_of_module(module).prune_out_channels
                graph.get_pruning_group(module, prune, idxs=index).prune()

    victim = copy.deepcopy(model)
    expected = run(masked_copy(model, masks), inputs)
    try:
        risen, _ = peak(lambda: cut(victim))
        result = "equal" if close(run(victim, inputs), expected) else "DIFFERS"
    except Exception as failure:
        return {"result": f"fails ({type(failure).__name__})"}
    seconds = []
    for victim in (copy.deepcopy(model) for _ in range(runs_of(model))):
        seconds.append(clock(partial(cut, victim))[0])
    return {"total": statistics.median(seconds), "peak": risen, "result": result}


def apart(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """Work in a forked process, so that nothing it does is left behind."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def child() -> None:
        warnings.simplefilter("ignore")
        there.send(work(*given))

    process = context.Process(target=child)
    process.start()
    there.close()
    result: dict[str, Any] = {"result": f"hangs for {PATIENCE} s"}
    try:
        if here.poll(PATIENCE):
            result = here.recv()
    except EOFError:
        result = {"result": "crashes"}
    process.kill()
    process.join()
    return result


def row(name: str) -> tuple[list[str], float, float]:
    """A line of the table, and the seconds of both where both cut exactly."""
    torch.manual_seed(0)
    model, inputs = NETS[name]()
    model = model.eval()
    size = f"{sum(p.numel() for p in model.parameters()):,}"
    own = apart(ours, model, inputs)
    if "total" not in own:
        return [name, size, *("",) * 5, own["result"], *("",) * 4], 0.0, 0.0
    tp = apart(theirs, model, inputs)
    both = "total" in tp
    line = [
        *(name, size, f"{own['trace']:.3f}", f"{own['total'] - own['trace']:.3f}"),
        *(f"{own['total']:.3f}", f"{own['verified']:.3f}", f"{own['peak']:.0f}", own["result"]),
        *(f"{tp['total']:.3f}" if both else "", f"{tp['peak']:.0f}" if both else "", tp["result"]),
        f"{tp['total'] / own['total']:.2f}x" if both else "",
    ]
    return line, own["total"] if both else 0.0, tp["total"] if both else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", metavar="net", help=", ".join(NETS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--standard", action="store_true", help="the large nets too")
    parser.add_argument("--seconds", type=float, default=330.0, help="no new net after so long")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    end, lines = time.monotonic() + options.seconds, []
    names = options.nets or [n for n in NETS if options.standard or n not in STANDARD]
    for name in names:
        if time.monotonic() < end:
            lines.append(row(name))
    left = ", ".join(names[len(lines) :]) or "none"
    mine, other = (sum(line[side] for line in lines) for side in (1, 2))
    ratios = [line[2] / line[1] for line in lines if line[1]]
    write_report(
        options.out,
        title="Trace and cut: secateur and Torch-Pruning",
        head=(*HEAD, *HEAD_THEIRS),
        rows=[line[0] for line in lines],
        runs=RUNS,
        notes=(
            f"Seconds, on one thread. Nets that both cut: {len(ratios)}; in total {mine:.2f} s "
            f"against {other:.2f} s ({other / mine:.2f}x), the median net "
            f"{statistics.median(ratios):.2f}x, the worst {min(ratios):.2f}x. `TP / ours` below 1 "
            "is where we lose. Peak memory is the resident set above where it began, "
            f"verification included. Torch-Pruning {version('torch-pruning')}; nets from "
            f"`transformers` have random weights, and are tiny unless their name has a size; those "
            f"of over {LONG:,} parameters ran once. Left out for time: {left}."
        ),
    )


if __name__ == "__main__":
    main()
