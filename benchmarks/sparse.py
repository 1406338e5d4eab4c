"""Single sparse layers beside the dense engines, and beside torch's and scipy's CSR.

    python benchmarks/sparse.py [--out benchmarks/sparse.md] [--repeats 40] [--threads 1 2]

All engines of a row run interleaved, each rested and run once before it is timed. OpenVINO takes
part if it can be imported: `pip install --target /tmp/openvino openvino` and
PYTHONPATH=/tmp/openvino. The zeros are at random places.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from torch import nn

from report import write_report
from secateur.artifact.export import export_onnx, session
from secateur.measure.latency import compare
from secateur.runtime.kernels import kernels, memory, packs
from secateur.runtime.kernels.packs import Pack

Call = Callable[[], object]
SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
DENSE = ("torch", "ONNX Runtime", "OpenVINO")
CSR = ("torch CSR", "scipy")
HEAD = (
    *("layer", "batch", "threads", "zeros", *(f"{name} µs" for name in DENSE + CSR)),
    *("secateur µs", "x best dense", "q1 to q3", "% of FMA peak", "% of bandwidth", "error"),
)


@dataclass(frozen=True)
class Layer:
    """One layer to measure; `side` is the height and width of its images, 0 for linear."""

    name: str
    size: tuple[int, ...]
    side: int = 0

    def inputs(self, batch: int) -> torch.Tensor:
        space = (self.side, self.side) if self.side else ()
        return torch.randn(batch, self.size[1], *space)

    def dense(self, share: float) -> nn.Module:
        torch.manual_seed(0)
        layer: nn.Linear | nn.Conv2d = (
            nn.Conv2d(self.size[1], self.size[0], self.size[2], padding=self.size[2] // 2)
            if self.side
            else nn.Linear(self.size[1], self.size[0])
        )
        flat = layer.weight.detach().view(-1)
        flat[torch.randperm(len(flat))[: round(share * len(flat))]] = 0
        return layer.eval()

    def pack(self, layer: nn.Module, batch: int) -> Pack:
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        if not self.side:
            return packs.pack_linear(weight, bias, batch=batch)
        pad = self.size[2] // 2
        return packs.pack_conv2d(
            weight, bias, height=self.side, width=self.side, padding=(pad, pad), batch=batch
        )


# ONNX Runtime's threads, if there are several, go on turning for some 60 ms after a pass. With the
# longer rest they sleep when another engine's turn comes, and so do that one's own: it must wake
# them. With `--rest 0.002` the threads of all are awake, and share the cores.
REST, LONG_REST = 0.002, 0.08
LAYERS = (
    Layer("linear 1024 to 512", (512, 1024)),
    Layer("linear 4096 to 1024", (1024, 4096)),
    Layer("conv 64 to 64 3x3 on 11x11", (64, 64, 3, 3), 11),
    Layer("conv 64 to 64 3x3 on 56x56", (64, 64, 3, 3), 56),
)


def held(call: Call, *memory: object) -> Call:
    """The call, and what it reads and writes by address."""
    return lambda _memory=memory: call()


def sparse_call(pack: Pack, x: torch.Tensor, y: np.ndarray, threads: int) -> Call:
    ops = kernels.array_of([kernels.op_of(pack)])
    scratch = memory.aligned(kernels.scratch_bytes(ops, threads), np.uint8)
    buffers = kernels.buffers_of([x.numpy(), y])
    task = kernels.task(ops, buffers, scratch, batch=len(x), threads=threads)
    return held(lambda: kernels.run(task), x, y)


def onnx_call(path: Path, x: torch.Tensor, y: np.ndarray, threads: int) -> Call:
    """Input and output bound in place, as favourable as it gets."""
    run = session(path, threads=threads)
    bound = run.io_binding()
    names = run.get_inputs()[0].name, run.get_outputs()[0].name
    bound.bind_input(names[0], "cpu", 0, np.float32, tuple(x.shape), x.data_ptr())
    bound.bind_output(names[1], "cpu", 0, np.float32, y.shape, y.ctypes.data)
    return held(lambda: run.run_with_iobinding(bound), x, y)


def openvino_call(path: Path, x: torch.Tensor, threads: int) -> Call:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Core().read_model(path)
    model.reshape(list(x.shape))
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x.numpy(), shared_memory=True))
    return request.infer


def csr_calls(layer: nn.Linear, x: torch.Tensor) -> dict[str, Call]:
    """Features-major, the way that suits them; the transposes are left out of the time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weight = layer.weight.detach().to_sparse_csr()
    columns, bias = x.T.contiguous(), layer.bias.detach()[:, None]
    matrix, numbers = scipy.sparse.csr_matrix(layer.weight.detach().numpy()), columns.numpy()
    offsets = bias.numpy()
    return {
        "torch CSR": lambda: torch.addmm(bias, weight, columns),
        "scipy": lambda: matrix @ numbers + offsets,
    }


def peak() -> float:
    """Floating-point operations a second of a large dense product: what FMAs allow, in practice."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    best = compare({"product": lambda: torch.mm(a, b)}, repeats=30)["product"].q1
    return 2 * 1024**3 / best


def bandwidth() -> float:
    """Bytes a second read from 8 MiB: from the last-level cache, where there is a large one."""
    vector = torch.ones(2 * 1024**2)
    return vector.nbytes / compare({"sum": vector.sum}, repeats=50)["sum"].q1


def engines(
    layer: Layer, dense: nn.Module, x: torch.Tensor, threads: int, folder: Path
) -> tuple[dict[str, Call], np.ndarray]:
    with torch.no_grad():
        want = dense(x)
    path = folder / "layer.onnx"
    export_onnx(dense, x[:1], path)
    y = np.zeros(tuple(want.shape), dtype=np.float32)
    runs: dict[str, Call] = {"torch": lambda: dense(x)}
    runs["ONNX Runtime"] = onnx_call(path, x, np.empty_like(y), threads)
    if importlib.util.find_spec("openvino"):
        runs["OpenVINO"] = openvino_call(path, x, threads)
    if isinstance(dense, nn.Linear):
        runs |= csr_calls(dense, x)
    runs["secateur"] = sparse_call(layer.pack(dense, len(x)), x, y, threads)
    runs["secateur"]()
    error = np.abs(y - want.numpy()).max() / np.abs(want.numpy()).max()
    if error > 1e-4:
        raise SystemExit(f"{layer.name}: off by {error}")
    return runs, error


def row(
    layer: Layer,
    share: float,
    batch: int,
    threads: int,
    repeats: int,
    rest: float,
    limits: tuple[float, float],
) -> list[object]:
    dense, x = layer.dense(share), layer.inputs(batch)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        runs, error = engines(layer, dense, x, threads, Path(folder))
        times = compare(runs, repeats=repeats, warmup=3, rest=rest)
    ours = times["secateur"]
    best = min(times[name].median for name in DENSE if name in times)
    pack = layer.pack(dense, batch)
    positions = max(layer.side, 1) ** 2
    flops = 2 * pack.info.nonzeros * positions * batch / ours.median
    moved = (pack.nbytes + 4 * batch * positions * sum(layer.size[:2])) / ours.median
    return [
        layer.name,
        batch,
        threads,
        f"{share:.0%}",
        *(f"{times[name].median * 1e6:.0f}" if name in times else "-" for name in DENSE + CSR),
        f"{ours.median * 1e6:.1f}",
        f"**{best / ours.median:.2f}**",
        f"{best / ours.q3:.2f} to {best / ours.q1:.2f}",
        f"{flops / limits[0]:.0%}",
        f"{moved / limits[1]:.0%}",
        f"{error:.0e}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--rest", type=float, default=LONG_REST, help="seconds, on several threads")
    parser.add_argument("--only", default="", help="layers whose name has this in it")
    options = parser.parse_args()
    rows = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        limits = peak(), bandwidth()
        for layer in LAYERS:
            for batch in options.batches:
                if options.only in layer.name:
                    many = options.repeats if batch * layer.side < 1000 else options.repeats // 4
                    rest = options.rest if threads > 1 else REST
                    rows += [row(layer, s, batch, threads, many, rest, limits) for s in SPARSITIES]
    write_report(
        options.out,
        title="Sparse layers",
        head=HEAD,
        rows=rows,
        runs=options.repeats,
        notes=f"Instruction set: {kernels.isa()}. On several threads a rest of {options.rest} s "
        "before each timing and the pass before it that is not timed. Medians; ratios above 1 are "
        "faster than the best dense engine of the row. FMA peak: torch's own product of two "
        "1024 x 1024 matrices. "
        "Bandwidth: torch's sum of 8 MiB; counted are the pack, input and output, once each. "
        "Error: largest difference from torch over largest number.",
    )


if __name__ == "__main__":
    main()
