"""`secateur.compile` beside the dense engines, on nets that people have, at 80, 90 and 95 % zeros.

    python benchmarks/engine.py --out benchmarks/engine.md
    python benchmarks/engine.py --only encoder --batches 1 --threads 1 --shares 0.9

Every engine runs the same net in the same rounds, in turn. OpenVINO takes part where it can be
imported, torch.compile with `--inductor` where there is a C++ compiler, the nets of pytorchcv
where it is installed. `--beside 1` has a busy process run beside all of them. It ends with status 1
if an output is wrong, or if ours took more than the best dense engine divided by 0.95. Run it on a
quiet machine: ratios of one run say little while something else is measured.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from engine_nets import nets, pruned
from sparse_nets import REST, engines
from torch import Tensor, nn

import secateur
from report import write_report
from secateur.errors import SecateurError
from secateur.measure.latency import compare_within
from secateur.runtime.kernels import kernels

Call = Callable[[], object]
OURS = "secateur"
FLOOR = 0.95
HEAD = ("net", "zeros", "threads", "batch", "torch", "torch.compile", "ONNX Runtime", "OpenVINO")


def dense(
    net: nn.Module, x: Tensor, threads: int, path: Path, *, inductor: bool
) -> dict[str, Call]:
    """Engine -> what runs the net as it is."""
    try:
        calls = engines(net, x, threads, path)
    except SecateurError as error:
        print(f"  not in ONNX: {error}", file=sys.stderr)
        calls = {"torch": lambda: net(x)}
    if inductor:
        compiled = torch.compile(net, options={"freezing": True})
        calls["torch.compile"] = lambda: compiled(x)
    return calls


def row(
    name: str, net: nn.Module, x: Tensor, share: float, threads: int, options: argparse.Namespace
) -> tuple[list[object], float]:
    """A line of the table, and the ratio in it."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        path = Path(folder, "net.onnx")
        calls = dense(net, x, threads, path, inductor=options.inductor)
        engine = secateur.compile(
            net, x, threads=threads, batches=[len(x)], seconds=options.seconds
        )
        calls[OURS] = lambda: engine(x)
        expected = net(x)
        apart = float((engine(x) - expected).abs().max() / expected.abs().max())
        times = compare_within(
            calls, options.measure, rounds=(5, options.rounds), rest=REST[threads > 1]
        )
    medians = {each: 1e6 * timing.median for each, timing in times.items()}
    best = min(value for each, value in medians.items() if each != OURS)
    ratio = best / medians[OURS] if apart < 1e-4 else 0.0
    cells = [f"{medians[each]:,.0f}" if each in medians else "-" for each in (*HEAD[4:], OURS)]
    chosen = engine.choice(len(x)).backend
    line = [name, f"{share:.0%}", threads, len(x), *cells, chosen, f"{ratio:.2f}", f"{apart:.0e}"]
    return line, ratio


def _turn() -> None:
    while True:
        sum(range(100_000))


@contextmanager
def beside(count: int) -> Iterator[None]:
    """So many busy processes meanwhile."""
    others = [multiprocessing.Process(target=_turn, daemon=True) for _ in range(count)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.terminate()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="Nets whose name begins so.")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.8, 0.9, 0.95])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=41, help="At most.")
    parser.add_argument("--measure", type=float, default=10.0, help="Seconds a line.")
    parser.add_argument("--seconds", type=float, default=1.0, help="As for secateur.compile.")
    parser.add_argument("--inductor", action="store_true", help="Measure torch.compile, too.")
    parser.add_argument("--beside", type=int, default=0, help="Busy processes beside it.")
    options = parser.parse_args()
    rows, slow = [], []
    with beside(options.beside):
        for name, build, example in nets(options.only):
            for share in options.shares:
                net = pruned(build, share)
                for batch in options.batches:
                    x = example(batch)
                    for threads in options.threads:
                        line, ratio = row(name, net, x, share, threads, options)
                        rows.append(line)
                        slow += [line] if ratio < FLOOR else []
                        print(*line, flush=True)
    write_report(
        options.out,
        title="The engine on nets that people have",
        head=(*HEAD, OURS, "what it chose", "best dense ÷ secateur", "apart"),
        rows=rows,
        runs=options.rounds,
        notes="Median microseconds of one pass, from a tensor to a tensor, all engines interleaved "
        f"in one run ({kernels.isa()}, {os.cpu_count()} cores, {options.beside} busy processes "
        "beside them). `apart`: the largest difference to torch's output, as a share of the "
        f"largest in it. Under {FLOOR}, or more than 1e-4 apart: {len(slow)} of {len(rows)}.",
    )
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
