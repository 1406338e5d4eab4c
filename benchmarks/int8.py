"""INT8 beside float32 and sparse: quality, bytes and latency of the same points of one study.

    secateur sweep demo --out runs/demo
    python benchmarks/int8.py runs/demo --out benchmarks/int8.md

Every point named is exported in float32 and in INT8 (ONNX Runtime's static quantiser, calibrated
on training data), and compiled by the sparse engine. Quality is the mean over the seeds that the
folder has; bytes and latency are those of the first. All are timed interleaved in one run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from torch import Tensor, nn

from report import write_report
from secateur.artifact.export import session
from secateur.foundation.run_example import batch_size, take_rows
from secateur.measure.latency import compare_within, torch_threads
from secateur.point import Point, Score, Timing
from secateur.runtime.compiler import compile as compile_engine
from secateur.runtime.compiler.portable import portable_plan
from secateur.runtime.portable.plan_file import encode
from secateur.study.export import point_net
from secateur.study.int8 import Measuring, measuring, quantised
from secateur.study.store import Store

POINTS = ("dense", "l1-filter:0.5", "magnitude:0.9")
BATCHES = (1, 64)
_ROUNDS = (20, 400)
_REST = 0.001
FLOAT, INT8, SPARSE = "float32, ONNX Runtime", "INT8, ONNX Runtime", "float32, secateur"


@dataclass
class Form:
    """One net in one form: what runs it, what it weighs, what it scores."""

    net: str
    engine: str
    bytes: int
    scores: Sequence[Sequence[Score]]
    call: Callable[[Tensor, int], Callable[[], object]]


def forms(
    name: str,
    points: Sequence[Point],
    store: Store,
    held: Measuring,
    folder: Path,
    study: str | None,
) -> list[Form]:
    """A point in each form; of several seeds the first is what runs."""
    nets = [point_net(store, point, None, study) for point in points]
    paths = [folder / f"{name.replace(':', '-')}-{point.seed}.onnx" for point in points]
    made = [quantised(net, held, path, seconds=0) for net, path in zip(nets, paths, strict=True)]
    whole = folder / f"{name.replace(':', '-')}-float32.onnx"
    nets[0].write(whole, "onnx")
    plain = [point.scores for point in points]
    sparse = len(encode(portable_plan(nets[0].small, nets[0].example)))
    return [
        Form(name, FLOAT, whole.stat().st_size, plain, onnx_call(whole)),
        Form(
            name, INT8, paths[0].stat().st_size, [one.scores for one in made], onnx_call(paths[0])
        ),
        Form(name, SPARSE, sparse, plain, engine_call(nets[0].small)),
    ]


def onnx_call(path: Path) -> Callable[[Tensor, int], Callable[[], object]]:
    def make(inputs: Tensor, threads: int) -> Callable[[], object]:
        running = session(path, threads, spins=False)
        feed = {running.get_inputs()[0].name: inputs.numpy()}
        return lambda: running.run(None, feed)

    return make


def engine_call(net: nn.Module) -> Callable[[Tensor, int], Callable[[], object]]:
    def make(inputs: Tensor, threads: int) -> Callable[[], object]:
        engine = compile_engine(net, inputs, threads=threads, batches=[len(inputs)], spins=False)
        return lambda: engine(inputs)

    return make


def timings(
    every: Sequence[Form], inputs: Tensor, threads: int, seconds: float
) -> dict[str, Timing]:
    with torch_threads(threads):
        calls = {str(place): form.call(inputs, threads) for place, form in enumerate(every)}
        return compare_within(calls, seconds, rounds=_ROUNDS, rest=_REST)


def found_points(store: Store, wanted: Sequence[str]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for name in wanted:
        method, _, level = name.partition(":")
        found[name] = [
            point
            for point in store.points()
            if point.method == method and (not level or point.level_name == level)
        ]
        if not level:  # of a method without levels the dense net before any more training
            found[name] = [point for point in found[name] if point.step == found[name][0].step]
        if not found[name]:
            raise SystemExit(f"{store.folder} has no point {name}")
    return found


def quality(form: Form) -> list[str]:
    return [
        f"{mean(scores[place].value for scores in form.scores):.4f} (n={len(form.scores)})"
        for place in range(len(form.scores[0]))
        if form.scores[0][place].metric == form.scores[0][0].metric
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--study", help="the study file, of a net or data of your own")
    parser.add_argument("--points", default=",".join(POINTS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    store = Store(given.run)
    held = measuring(store, None, given.study)
    with tempfile.TemporaryDirectory() as folder:
        every = [
            form
            for name, points in found_points(store, given.points.split(",")).items()
            for form in forms(name, points, store, held, Path(folder), given.study)
        ]
        cells: list[list[str]] = [[f.net, f.engine, *quality(f), f"{f.bytes:,}"] for f in every]
        heads = []
        for threads in map(int, given.threads.split(",")):
            for batch in BATCHES:
                example = held.data.example(batch)
                rows = [row % batch_size(example) for row in range(batch)]
                inputs = take_rows(example, rows).contiguous()
                times = timings(every, inputs, threads, given.seconds)
                heads.append(f"ms at batch {batch}, {threads} thread{'s' * (threads > 1)}")
                for place, row in enumerate(cells):
                    each = times[str(place)]
                    low, middle, high = (1000 * v for v in (each.q1, each.median, each.q3))
                    row.append(f"{middle:.3g} [{low:.3g}, {high:.3g}]")
    write_report(
        given.out,
        title="INT8 beside float32 and sparse",
        head=["point", "form", "validation", "test", "bytes", *heads],
        rows=cells,
        runs=_ROUNDS[0],
        notes="Median [quartiles], interleaved; at least so many rounds. Bytes: of the ONNX file; "
        "of the sparse engine `net.plan`, as `secateur package` writes it. ONNX Runtime's threads "
        "rest between passes. Calibrated on training data; test data choose nothing.",
    )


if __name__ == "__main__":
    main()
