"""How large model files are, and how fast they are written and read.

    python benchmarks/artifact.py sizes [--run runs/demo] --out benchmarks/artifact_sizes.md
    python benchmarks/artifact.py speed --out benchmarks/artifact_speed.md
    python benchmarks/artifact.py memory --out benchmarks/artifact_memory.md

The bound is the entropy of the positions of what is not zero, and 32 bits a value. Every figure
of ours is the whole file, header and metadata included.
"""

from __future__ import annotations

import argparse
import io
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
import zstandard
from safetensors.torch import save as dense_bytes
from torch import Tensor, nn

import secateur
from report import write_report
from secateur.artifact.load import load
from secateur.artifact.save import save
from secateur.study.checkpoint import load_checkpoint
from secateur.study.store import Store

SPARSITIES = (0.8, 0.9, 0.95, 0.99)
REPEATS = 7
LARGE = 500_000


class Held(nn.Module):
    """Tensors under their names, as a network."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in state.items():
            self.register_buffer(name.replace(".", "/"), tensor)


def bound(state: Mapping[str, Tensor]) -> float:
    """Entropy of the positions and 32 bits a value, in bytes."""
    bits = 0.0
    for tensor in state.values():
        n, kept = tensor.numel(), int(tensor.count_nonzero())
        for part in (kept, n - kept):
            bits += -part * np.log2(part / n) if part else 0
        bits += 32 * kept
    return bits / 8


def csr_bytes(state: Mapping[str, Tensor]) -> int:
    """Values, column indices and row starts, the indices in int32; rows along the first axis."""
    return sum(
        8 * int(tensor.count_nonzero()) + 4 * (len(tensor) + 1)
        if tensor.ndim > 1
        else 4 * tensor.numel()
        for tensor in state.values()
    )


def bitmask_bytes(state: Mapping[str, Tensor]) -> int:
    return sum(-(-t.numel() // 8) + 4 * int(t.count_nonzero()) for t in state.values())


def torch_save_bytes(state: Mapping[str, Tensor]) -> int:
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return len(buffer.getvalue())


def our_bytes(net: nn.Module, masks: Mapping[str, Tensor] | None = None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.safetensors")
        save(net, path, masks)
        return path.stat().st_size


def size_row(name: str, state: Mapping[str, Tensor], ours: int) -> list[str]:
    dense = dense_bytes({key: tensor.contiguous() for key, tensor in state.items()})
    limit = bound(state)
    sizes = [
        len(dense),
        torch_save_bytes(state),
        csr_bytes(state),
        bitmask_bytes(state),
        len(zstandard.ZstdCompressor(level=19).compress(dense)),
        ours,
    ]
    return [
        name,
        f"{limit / 1000:.1f}",
        *(f"{size / 1000:.1f} ({size / limit:.2f})" for size in sizes[:-1]),
        f"**{ours / 1000:.1f} ({ours / limit:.3f})**",
    ]


def layers() -> Iterator[list[str]]:
    """Layers of half a million weights and more, pruned by magnitude and at random."""
    shapes: dict[str, Callable[[], nn.Module]] = {
        "Linear 1024→512": lambda: nn.Linear(1024, 512, bias=False),
        "Linear 4096→1024": lambda: nn.Linear(4096, 1024, bias=False),
        "Conv 256→256 3x3": lambda: nn.Conv2d(256, 256, 3, bias=False),
    }
    for name, build in shapes.items():
        for method in ("magnitude", "random-weight"):
            for sparsity in SPARSITIES:
                torch.manual_seed(0)
                net = build()
                nn.init.kaiming_normal_(net.get_parameter("weight"))
                masks = secateur.prune(net, method, sparsity=sparsity)
                state = {"weight": net.get_parameter("weight").detach()}
                yield size_row(f"{name}, {method} {sparsity:g}", state, our_bytes(net, masks))


def points(run: Path) -> Iterator[list[str]]:
    """The nets of a study, masked, and each large layer that zeros were cut into alone."""
    store = Store(run)
    for point in store.points():
        state, _ = load_checkpoint(store.checkpoint(point.digest))
        name = f"{point.method} {point.level_name} seed {point.seed}"
        yield size_row(name, state, our_bytes(Held(state)))
        for layer, weight in state.items():
            if weight.numel() >= LARGE and not weight.all():
                alone = {layer: weight}
                yield size_row(f"{name}, {layer} alone", alone, our_bytes(Held(alone)))


def sizes(options: argparse.Namespace) -> None:
    rows, nets = list(layers()), ""
    if options.run:
        rows += points(options.run)
        nets = (
            f" The nets are the points of `{options.run.name}`, masked, with their biases and small"
            f" layers; beside them stands each layer of {LARGE:,} weights or more."
        )
    write_report(
        options.out,
        title="Sizes of model files, in kB (and as a share of the bound)",
        head=[
            "tensors", "bound", "dense safetensors", "torch.save", "CSR, int32",
            "bitmask + values", "dense under zstd-19", "ours, whole file",
        ],
        rows=rows,
        runs=1,
        notes="Bound: entropy of the positions, and 32 bits a value. CSR and bitmask are counted"
        " without any header." + nets,
    )  # fmt: skip


def large() -> nn.Module:
    return nn.Sequential(*(nn.Linear(2048, 2048, bias=False) for _ in range(8)))


def one_layer() -> nn.Module:
    return nn.Sequential(nn.Linear(8192, 8192, bias=False))


NETS = {"8 layers": large, "1 layer": one_layer}


def pruned(build: Callable[[], nn.Module], sparsity: float) -> nn.Module:
    torch.manual_seed(0)
    net = build()
    for parameter in net.parameters():
        nn.init.kaiming_normal_(parameter)
    if sparsity:
        secateur.prune(net, "magnitude", sparsity=sparsity)
    return net


def zeroed(build: Callable[[], nn.Module], sparsity: float) -> nn.Module:
    """The smallest weights gone, about so many: without sorting 67 million of them."""
    net = pruned(build, 0)
    with torch.no_grad():
        for weight in net.parameters():
            threshold = weight.std() * 2**0.5 * torch.erfinv(torch.tensor(sparsity))
            weight.masked_fill_(weight.abs() < threshold, 0)
    return net


def bytes_of(net: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in net.parameters())


def median(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def speed_row(name: str, net: nn.Module, path: Path) -> list[str]:
    dense, built = bytes_of(net), large()
    saving = median(lambda: save(net, path))
    loading = median(lambda: load(path, lambda: built))
    return [
        name,
        f"{dense / 1e6:.0f}",
        f"{path.stat().st_size / 1e6:.1f}",
        f"{dense / 1e6 / saving:.0f}",
        f"{dense / 1e6 / loading:.0f}",
    ]


def speed(options: argparse.Namespace) -> None:
    rows = []
    places = {"memory": Path("/dev/shm"), "disk": Path(tempfile.gettempdir())}
    for sparsity in (0.0, 0.5, 0.8, 0.9, 0.95, 0.99):
        net = pruned(large, sparsity)
        for place, folder in places.items():
            if folder.is_dir():
                with tempfile.TemporaryDirectory(dir=folder) as inside:
                    rows.append(
                        speed_row(f"{sparsity:g}, {place}", net, Path(inside, "x.safetensors"))
                    )
    write_report(
        options.out,
        title="Speed of model files, in MB of dense tensors a second",
        head=["sparsity, file in", "dense MB", "file MB", "save", "load"],
        rows=rows,
        runs=REPEATS,
        notes="Medians. Saving ends when the file is synced; both include SHA-256 over every byte. "
        "Files are read from the page cache.",
    )


def taken(what: str, name: str, path: Path) -> int:
    """By how many bytes a step raises the peak of a process that does nothing else."""
    command = [sys.executable, __file__, "memory", "--step", what, name, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


def step(what: str, name: str, path: Path) -> None:
    """Save or load once, and print by how many bytes that raised this process's peak."""
    # Whatever the first call sets up is no part of the figure.
    small = path.with_name("small")
    save(nn.Linear(2, 2), small)
    load(small, lambda: nn.Linear(2, 2))
    net = load(path, NETS[name]) if what == "save" else None
    # A peak of before would hide what comes.
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    if net is not None:
        save(net, path.with_name("again"))
    else:
        net = load(path, NETS[name])
    print(resident("VmHWM") - before)


def resident(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)[0]) * 1024


def memory(options: argparse.Namespace) -> None:
    rows = []
    for name, build in NETS.items():
        for sparsity in (0.0, 0.05, 0.5, 0.8, 0.9, 0.95, 0.99):
            net = zeroed(build, sparsity)
            dense = bytes_of(net)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "x.safetensors")
                save(net, path)
                del net
                shares = [taken(what, name, path) / dense for what in ("save", "load")]
                rows.append(
                    [name, f"{dense / 1e6:.0f}", f"{sparsity:g}", *map("{:.2f}".format, shares)]
                )
    write_report(
        options.out,
        title="Memory that model files take, as a share of the dense tensors",
        head=["net", "dense MB", "sparsity", "taken by save", "by load, the net itself included"],
        rows=rows,
        runs=1,
        notes="Peak of the resident memory above what it was before the call, each in a fresh "
        "process. The net saved is there before. The one loaded is built dense by its class.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("sizes", "speed", "memory"))
    parser.add_argument("--run", type=Path, help="A run folder, for the nets of a real sweep.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.step:
        what, name, path = options.step
        step(what, name, Path(path))
        return
    {"sizes": sizes, "speed": speed, "memory": memory}[options.what](options)


if __name__ == "__main__":
    main()
