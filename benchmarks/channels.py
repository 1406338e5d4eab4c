"""What tracing, pruning and compacting cost, beside Torch-Pruning 1.6.1, in one run.

    pip install --no-deps pytorchcv timm torch-pruning==1.6.1; pip install transformers
    OMP_NUM_THREADS=1 python benchmarks/channels.py [net ...] [--all] [--out benchmarks/channels.md]
    OMP_NUM_THREADS=1 python benchmarks/channels.py [net ...] --profile

CPU seconds (user and system) of one thread, once each, in a forked process for each net and tool.
`prune` traces the net, scores it, and tries the very cut in a dry run; `compact` follows at once,
`trained` is `compact` after every weight has moved, `unchecked` is the same without the
comparison in float64. `trace` is part of `prune` and shown beside it. Torch-Pruning builds its
graph and cuts the same channels; it scores and compares nothing. Peak memory is that of the
resident set (`VmHWM`) above what it was when the work began, over the bytes of the model.
`equal` compares the outputs of the cut net with those of the masked one. `--profile` prints
instead, by sampling, what `prune` and `compact` spend their time on.
"""

from __future__ import annotations

import argparse
import copy
import gc
import importlib
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from foreign.stand_in import stand_in
from sampling import sampled
from torch import Tensor, nn

from report import write_report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "channels"))

from cutting import run
from families import FAMILIES, _build, ids

from secateur import prune, trace
from secateur.channels import compact_with_record
from secateur.errors import ChannelError, MaskError
from secateur.models.conv4 import conv4
from secateur.models.lenet import lenet_5
from secateur.models.resnet import resnet20
from secateur.models.vgg import vgg16_bn
from secateur.pruning.groups import Groups

PATIENCE, SPARSITY, PROFILED = 100, 0.4, 10
STAGES = ("trace", "prune", "compact", "trained", "unchecked")
HEAD = ("net", "parameters", *STAGES, "peak / model", "result")
HEAD_THEIRS = ("TP", "TP peak / model", "TP result", "ours / TP")


def reference(build: Callable[[], nn.Module], *shape: int) -> Callable[[], tuple[nn.Module, Any]]:
    return lambda: (build(), torch.randn(1, *shape))


def standard(name: str, inputs: Callable[[], Any], **settings: Any) -> Callable[[], Any]:
    return lambda: _build(name, settings, inputs())


def pytorchcv(name: str) -> Callable[[], tuple[nn.Module, Any]]:
    def build() -> tuple[nn.Module, Any]:
        from pytorchcv.model_provider import get_model

        model = get_model(name, pretrained=False)
        return model, torch.randn(1, 3, *model.in_size)

    return build


def timm(name: str) -> Callable[[], tuple[nn.Module, Any]]:
    def build() -> tuple[nn.Module, Any]:
        from timm import create_model

        model = create_model(name, pretrained=False)
        return model, torch.randn(1, *model.default_cfg["input_size"])

    return build


TEXTS = {"BERT-base": "Bert", "RoBERTa-base": "Roberta"}
CONVOLUTIONAL = (
    *(
        "resnet18",
        "resnet50",
        "vgg11",
        "bagnet9",
        "mobilenetv2_w1",
        "densenet121",
        "squeezenet_v1_0",
    ),
    *(
        "resnext26_32x4d",
        "seresnet18",
        "shufflenet_g1_w1",
        "preresnet18",
        "mobilenet_w1",
        "bninception",
    ),
    *(
        "efficientnet_b0",
        "regnetx002",
        "darknet53",
        "mixnet_s",
        "inceptionv3",
        "ghostnet",
        "hardnet39ds",
    ),
)
VISION = (
    *("vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "efficientformer_l1", "levit_128"),
    *("coat_tiny", "cait_xxs24_224", "convit_tiny", "volo_d1_224", "maxvit_tiny_rw_224"),
)
MORE = (
    *(
        "alexnet",
        "zfnet",
        "resnet34",
        "resnet101",
        "vgg16",
        "wrn50_2",
        "dpn68",
        "peleenet",
        "xception",
    ),
    *("nasnet_4a1056", "pnasnet5large", "mnasnet_b1", "spnasnet", "fbnet_cb", "proxylessnas_cpu"),
    *(
        "resnesta18",
        "selecsls42b",
        "dla34",
        "hrnet_w18_small_v1",
        "vovnet27s",
        "igcv3_w1",
        "diracnet18v2",
    ),
    *(
        "squeezenext_w1",
        "menet108_8x1_g3",
        "condensenet74_c4_g4",
        "airnet50_1x64d_r2",
        "bamresnet18",
    ),
)
MORE_VISION = (
    *("twins_svt_small", "xcit_nano_12_p16_224", "pvt_v2_b0", "mvitv2_tiny", "davit_tiny"),
    *("gcvit_xxtiny", "nest_tiny", "crossvit_9_240", "tnt_s_patch16_224", "edgenext_small"),
    *("focalnet_tiny_srf", "fastvit_t8", "efficientvit_b0", "hiera_tiny_224"),
)
NETS: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "lenet_5": reference(lenet_5, 1, 28, 28),
    "conv4": reference(conv4, 3, 25, 25),
    "resnet20": reference(resnet20, 3, 32, 32),
    "vgg16_bn": reference(vgg16_bn, 3, 32, 32),
    **{f"pytorchcv/{name}": pytorchcv(name) for name in CONVOLUTIONAL},
    **{f"timm/{name}": timm(name) for name in VISION},
    **{name: FAMILIES[name] for name in ("bert", "gpt2", "llama", "swin_v2", "segformer")},
    **{name: standard(kind, ids) for name, kind in TEXTS.items()},
}
OTHERS: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    **{f"pytorchcv/{name}": pytorchcv(name) for name in MORE},
    **{f"timm/{name}": timm(name) for name in MORE_VISION},
    **{name: build for name, build in FAMILIES.items() if name not in NETS},
}


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


def dead_groups(groups: Groups, masks: Mapping[str, Tensor]) -> Tensor:
    """Bool `[groups]`: those of which the masks leave no weight that computes them."""
    dead = torch.zeros(groups.count, dtype=torch.bool)
    for slot in groups.slots:
        if slot.role == "write" and slot.parameter in masks:
            rows = ~masks[slot.parameter].movedim(slot.axis, 0).flatten(1).any(1)
            dead[slot.groups[rows & (slot.groups >= 0)]] = True
    return dead


def memory(field: str) -> float:
    """A line of `/proc/self/status`, in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise ValueError(field)


def cost(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """CPU seconds, how far the resident set rose in MiB, and the result."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, start = memory("VmRSS"), time.process_time()
    result = work()
    return time.process_time() - start, memory("VmHWM") - before, result


def megabytes(model: nn.Module) -> float:
    return sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20


def pruned(model: nn.Module, inputs: Any) -> Any:
    how = {"scope": "all", "granularity": "channel"}
    return prune(model, "l1-filter", sparsity=SPARSITY, example_inputs=inputs, **how)


def ours(model: nn.Module, inputs: Any) -> dict[str, Any]:
    """Seconds, peaks and verdict of one net."""
    size = megabytes(model)
    try:
        found = {"trace": cost(lambda: trace(model, inputs))[:2]}
        *found["prune"], masks = cost(lambda: pruned(model, inputs))
        *found["compact"], record = cost(lambda: compact_with_record(model, masks, inputs))
        equal = close(run(record.model.eval(), inputs), run(model, inputs))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.0 + 2.0**-10)
        for name, verify in (("trained", True), ("unchecked", False)):
            work = partial(compact_with_record, model, masks, inputs, verify=verify)
            found[name] = cost(work)[:2]
    except (ChannelError, MaskError) as error:
        return {"result": f"refused: {error.subject}"}
    peak = max(risen for _, risen in found.values()) / size
    seconds = {name: found[name][0] for name in STAGES}
    return {"seconds": seconds, "peak": peak, "result": "equal" if equal else "DIFFERS"}


def theirs(model: nn.Module, inputs: Any) -> dict[str, Any]:
    """The same of Torch-Pruning, which changes the net it is given."""
    import torch_pruning as tp

    size, victim = megabytes(model), copy.deepcopy(model)
    masks = pruned(model, inputs)
    groups = trace(model, inputs).groups("all")
    rows = rows_to_cut(groups, dead_groups(groups, masks))

    def cut() -> None:
        graph = tp.DependencyGraph().build_dependency(victim, example_inputs=inputs)
        for path, index in rows.items():
            module = victim.get_submodule(path)
            if index:
                prune_out = graph.get_pruner_of_module(module).prune_out_channels
                graph.get_pruning_group(module, prune_out, idxs=index).prune()

    masks.apply(victim)
    try:
        seconds, risen, _ = cost(cut)
        equal = close(run(victim, inputs), run(model, inputs))
    except Exception as failure:
        return {"result": f"fails ({type(failure).__name__})"}
    return {"seconds": seconds, "peak": risen / size, "result": "equal" if equal else "DIFFERS"}


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


def row(name: str) -> tuple[list[str], dict[str, float], float]:
    """A line of the table, our seconds by stage, and theirs where both cut exactly."""
    torch.manual_seed(0)
    model, inputs = {**NETS, **OTHERS}[name]()
    model = model.eval()
    size = f"{sum(p.numel() for p in model.parameters()):,}"
    own, tp = apart(ours, model, inputs), apart(theirs, model, inputs)
    seconds = own.get("seconds", {})
    line = [name, size, *(f"{seconds[one]:.2f}" if seconds else "" for one in STAGES)]
    line += [f"{own['peak']:.1f}x" if seconds else "", own["result"]]
    other = tp.get("seconds", 0.0)
    line += [f"{other:.2f}", f"{tp['peak']:.1f}x"] if other else ["", ""]
    both = bool(seconds and other and tp["result"] == "equal")
    ratio = (seconds["prune"] + seconds["compact"]) / other if both else 0.0
    return [*line, tp["result"], f"{ratio:.1f}" if both else ""], seconds, other if both else 0.0


def profiled(names: Sequence[str]) -> None:
    """Print the share of each part of the engine in `prune` and `compact`, net by net."""
    for name in names:
        torch.manual_seed(0)
        model, inputs = {**NETS, **OTHERS}[name]()
        with sampled() as found:
            for _ in range(PROFILED):
                victim = copy.deepcopy(model.eval())
                compact_with_record(victim, pruned(victim, inputs), inputs)
        whole = sum(found.values())
        shares = [f"{part} {100 * count / whole:.0f} %" for part, count in found.most_common(12)]
        print(f"{name}: {', '.join(shares)}", flush=True)


def warm() -> None:
    """Import and load, once for all processes, what either tool loads when it first runs."""
    for library in ("transformers.modeling_utils", "transformers.models.auto.modeling_auto"):
        importlib.import_module(library)  # before there seems to be a torchvision
    stand_in("torchvision", "torchaudio")
    for library in ("torch_pruning", "timm", "pytorchcv.model_provider"):
        importlib.import_module(library)
    torch.relu(torch.empty(1, device="meta"))
    model, inputs = NETS["lenet_5"]()
    ours(model.eval(), inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", metavar="net", help=", ".join([*NETS, *OTHERS]))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--all", action="store_true", help="many more nets")
    parser.add_argument("--seconds", type=float, default=270.0, help="no new net after so long")
    parser.add_argument("--profile", action="store_true", help="what the time goes to")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    warm()
    if options.profile:
        profiled(options.nets or [*NETS])
        return
    end, lines = time.monotonic() + options.seconds, []
    names = options.nets or [*NETS, *(OTHERS if options.all else ())]
    for name in names:
        if options.all or time.monotonic() < end:
            lines.append(row(name))
            print(" | ".join(lines[-1][0]), file=sys.stderr, flush=True)
    left = ", ".join(names[len(lines) :]) or "none"
    write_report(
        options.out,
        title="Trace, prune and compact: secateur and Torch-Pruning",
        head=(*HEAD, *HEAD_THEIRS),
        rows=[line[0] for line in lines],
        runs=1,
        notes=f"{_totals(lines)} Torch-Pruning {version('torch-pruning')}, pytorchcv "
        f"{version('pytorchcv')}, timm {version('timm')}; the weights are random. Left out for "
        f"time: {left}.",
    )


def _totals(lines: Sequence[tuple[list[str], dict[str, float], float]]) -> str:
    """The sums of all columns, of all nets that we cut and of those that both cut."""
    texts = []
    for kind, chosen in (
        ("that we cut", [one for one in lines if one[1]]),
        ("that both cut equal", [one for one in lines if one[2]]),
    ):
        sums = ", ".join(f"{name} {sum(one[1][name] for one in chosen):.1f}" for name in STAGES)
        theirs = sum(one[2] for one in chosen)
        texts.append(f"The {len(chosen)} nets {kind}: {sums}; Torch-Pruning {theirs:.1f}.")
    return " ".join(texts)


if __name__ == "__main__":
    main()
