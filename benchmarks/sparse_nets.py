"""Whole nets with unstructured zeros: the engine of `secateur.compile` beside the dense engines.

    python benchmarks/sparse_nets.py --run runs/demo --out benchmarks/sparse_nets.md

Every engine runs the same net in the same round. OpenVINO takes part if it can be imported:
`pip install --target /tmp/openvino openvino` and PYTHONPATH=/tmp/openvino.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

import secateur
from report import write_report
from secateur import models
from secateur.artifact.export import export_onnx, session
from secateur.channels import compact
from secateur.measure.latency import compare
from secateur.pruning.masks import Masks
from secateur.spec import check_study
from secateur.study.checkpoint import load_checkpoint
from secateur.study.job import Setup
from secateur.study.store import Store

Call = Callable[[], object]
# ONNX Runtime's threads, if there are several, go on turning for some 60 ms after a pass: on two
# cores whatever comes sooner shares one with them, and is held up for whole time slices.
REST = (0.002, 0.08)
SHARES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
HEAD = ("net", "zeros", "threads", "batch", "torch", "ONNX Runtime", "OpenVINO", "secateur")


def uniform(name: str, shape: tuple[int, int, int], share: float) -> nn.Module:
    """A reference net with the same share of zeros, at random places, in every layer."""
    torch.manual_seed(0)
    net = models.build(name, shape, 10 if shape[1] == 32 else 5).eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            flat = module.weight.detach().view(-1)
            flat[torch.randperm(len(flat))[: round(share * len(flat))]] = 0
    return net


def pruned(run: Path, level: float) -> tuple[nn.Module, Tensor]:
    """What magnitude pruning left in a study, dead channels removed; and an image."""
    store = Store(run)
    setup = Setup(check_study(json.loads(store.fact("settings") or ""), str(run)), run)
    data = setup.load_data()
    (point, *_) = (p for p in store.points() if p.method == "magnitude" and p.level == (level,))
    state, masks = load_checkpoint(store.checkpoint(point.digest))
    net = setup.build_model(data)
    net.load_state_dict(state)
    return compact(net, masks or Masks({}), data.example(2)).eval(), data.example(1)


def nets(options: argparse.Namespace) -> Iterator[tuple[str, nn.Module, Tensor, tuple[int, ...]]]:
    """Name, net, example of one, numbers of threads."""
    for share in SHARES:
        name = f"conv4, uniform {share:.0%}"
        yield name, uniform("conv4", (3, 25, 25), share), torch.randn(1, 3, 25, 25), (1, 2)
    if options.run:
        net, image = pruned(options.run, 0.95)
        yield "conv4, by magnitude 95%", net, image, (1, 2)
    for model in ("resnet20", "vgg16-bn"):
        for share in (0.9, 0.95):
            name = f"{model}, uniform {share:.0%}"
            yield name, uniform(model, (3, 32, 32), share), torch.randn(1, 3, 32, 32), (2,)


def engines(net: nn.Module, inputs: Tensor, threads: int, path: Path) -> dict[str, Call]:
    """Engine -> what runs the net on the inputs."""
    export_onnx(net, inputs, path, tolerance=float("inf"))
    running = session(path, threads)
    name = running.get_inputs()[0].name
    calls: dict[str, Call] = {
        "torch": lambda: net(inputs),
        "ONNX Runtime": lambda: torch.from_numpy(running.run(None, {name: inputs.numpy()})[0]),
    }
    if importlib.util.find_spec("openvino"):
        import openvino

        compiled = openvino.Core().compile_model(
            openvino.Core().read_model(path),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32",
            },
        )
        request = compiled.create_infer_request()

        def infer() -> Tensor:
            tensor = openvino.Tensor(inputs.numpy(), shared_memory=True)
            return torch.from_numpy(request.infer([tensor], share_outputs=True)[0])

        calls["OpenVINO"] = infer
    return calls


def row(
    name: str,
    net: nn.Module,
    one: Tensor,
    threads: int,
    batch: int,
    rounds: int,
    folder: Path,
) -> list[object]:
    torch.set_num_threads(threads)
    inputs = torch.randn(batch, *one.shape[1:])
    calls = engines(net, inputs, threads, folder / "net.onnx")
    engine = secateur.compile(net, inputs, threads=threads, batches=[batch])
    calls["secateur"] = lambda: engine(inputs)
    with torch.inference_mode():
        times = compare(calls, repeats=rounds, warmup=2, rest=REST[threads > 1])
    medians = {each: timing.median for each, timing in times.items()}
    dense = min(value for each, value in medians.items() if each != "secateur")
    weights = [p for p in net.parameters() if p.dim() > 1]
    zeros = sum(int((p == 0).sum()) for p in weights) / sum(p.numel() for p in weights)
    cells = [f"{1e6 * medians[each]:,.0f}" if each in medians else "-" for each in HEAD[4:]]
    return [
        name,
        f"{zeros:.1%}",
        threads,
        batch,
        *cells,
        engine.choice(batch).backend,
        f"{dense / medians['secateur']:.2f}",
        f"{1e6 * times['secateur'].q1:,.0f} to {1e6 * times['secateur'].q3:,.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--run", type=Path, help="A run folder of the demo.")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--only", default="", help="Nets whose name begins so.")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, net, one, counts in nets(options):
            if name.startswith(options.only):
                for threads in counts:
                    for batch in (1, 64):
                        rows.append(
                            row(
                                name,
                                net,
                                one,
                                threads,
                                batch,
                                options.rounds,
                                Path(folder),
                            )
                        )
                        print(*rows[-1], flush=True)
    write_report(
        options.out,
        title="Whole nets with unstructured zeros",
        head=(*HEAD, "what it chose", "best dense ÷ secateur", "secateur, q1 to q3"),
        rows=rows,
        runs=options.rounds,
        notes="Median microseconds of one pass, from a tensor to a tensor, all engines interleaved "
        "in one run, each after a pass that is not timed and, on two threads, a rest in which the "
        "threads of the engine before fall asleep. secateur measures when it packs and takes what "
        "is fastest; `onnxruntime` and `torch` mean that it runs the net in those.",
    )


if __name__ == "__main__":
    main()
