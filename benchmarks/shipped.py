"""From a study to files that are shipped: a small BERT and a ResNet-18, each the whole way.

    PYTHONPATH=src python benchmarks/shipped.py [encoder resnet18] [--work runs/shipped]

`benchmarks/studies/NAME.toml` is swept, or gone on with: every point has had the same epochs. What
is picked within two points of the dense net, once by the zeros and once by the multiply-adds, is
exported beside the dense net: for ONNX Runtime in float32 and INT8 (calibrated on training data),
compiled for secateur's engine, and packaged where every operator has a kernel. All of them are
timed in one process, interleaved. Results: `benchmarks/shipped/NAME.json`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "studies"))
import run
import torch
from results import found_in, read, write

from secateur.artifact.calling import call_of
from secateur.artifact.int8 import feeds
from secateur.errors import SecateurError
from secateur.foundation.run_example import Inputs, arguments, batch_size, moved, take_rows
from secateur.measure.environment import environment
from secateur.measure.latency import compare_within, torch_threads
from secateur.point import Point, Score
from secateur.runtime.compiler import compile as compile_engine
from secateur.runtime.portable.net import Net
from secateur.study.export import PointNet, point_net
from secateur.study.int8 import Measuring, beside, measuring, pass_of, quantised
from secateur.study.store import Store
from secateur.study.study import RunFolder

HERE = Path(__file__).parent
NAMES = ("encoder", "resnet18")
WITHIN = 0.02
BATCHES = (1, 64)
_ROUNDS = (20, 400)
_REST = 0.001
Call = Callable[[], object]


@dataclass
class Form:
    """One net in one form that can be shipped.

    Attributes:
        net: Method and level.
        form: What it is, and what runs it.
        bytes: Of its file; None where it has none.
        scores: On validation and test data.
        call: Inputs -> a pass of it, and what runs in it.
        engines: Size of the batch -> what runs.
        latency: Size of the batch -> median and quartiles, in seconds.
    """

    net: str
    form: str
    bytes: int | None
    scores: Sequence[Score]
    call: Callable[[Inputs], tuple[Call, str]]
    engines: dict[int, str] = field(default_factory=dict)
    latency: dict[int, list[float]] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What a table may say of it; scores are pairs of integers."""
        splits = {one.split: [one.share.part, one.share.total] for one in self.scores if one.share}
        named = {"net": self.net, "form": self.form, "bytes": self.bytes, **splits}
        times = [[self.engines[batch], batch, *self.latency[batch]] for batch in self.latency]
        return {**named, "latency": times}


def sweep(name: str, folder: Path) -> float:
    """Perform what is left of a study on one core; the seconds that it took."""
    asked = {"seeds": None, "workers": 1, "threads": 1, "device": "cpu", "timing": False}
    took = run.sweep(name, folder, argparse.Namespace(**asked, seconds=None))
    if RunFolder(folder).failures:
        raise SystemExit(f"{name}: {RunFolder(folder).failures[0]}")
    return took


def study_of(name: str) -> Path:
    return HERE / "studies" / f"{name}.toml"


def chosen(folder: Path) -> dict[str, Point]:
    """The dense net with the whole budget, and what is picked by zeros and by multiply-adds."""
    done = RunFolder(folder)
    dense = max(
        (point for point in done.points if point.method == "dense"),
        key=lambda point: (point.epochs.cumulative, -point.seed),
    )
    picks = {axis: done.pick(within=WITHIN, x=axis).point for axis in ("sparsity", "macs")}
    return {"dense": dense, **picks}


def named(point: Point) -> str:
    return point.method if point.level_name == "-" else f"{point.method} {point.level_name}"


def forms(made: PointNet, held: Measuring, folder: Path) -> Iterator[Form]:
    """A point in every form that can be had; of what cannot, why, on standard error."""
    name, scores = named(made.point), made.point.scores
    folder.mkdir()
    call = call_of(made.small, made.example, "shipping")

    def onnx(path: Path) -> Callable[[Inputs], tuple[Call, str]]:
        def pass_with(inputs: Inputs) -> tuple[Call, str]:
            (feed,) = feeds(call, [inputs])
            return pass_of(path, feed), "onnxruntime"

        return pass_with

    def eager(inputs: Inputs) -> tuple[Call, str]:
        args, kwargs = arguments(inputs)
        return lambda: made.small(*args, **kwargs), "torch"

    def compiled(inputs: Inputs) -> tuple[Call, str]:
        size = batch_size(inputs)
        engine = compile_engine(made.small, inputs, threads=1, batches=[size], spins=False)
        args, kwargs = arguments(inputs)
        return lambda: engine(*args, **kwargs), f"secateur: {engine.choice(size).backend}"

    def packaged(inputs: Inputs) -> tuple[Call, str]:
        run, array = Net(folder / "package" / "net.plan"), inputs.numpy()
        return lambda: run(array), "secateur_runtime"

    files = {kind: folder / f"net.{kind}" for kind in ("safetensors", "onnx")}
    for kind, path in files.items():
        made.write(path, kind)
    small = quantised(made, held, folder / "int8.onnx", seconds=0)
    size = files["safetensors"].stat().st_size
    yield Form(name, "float32, torch", size, scores, eager)
    yield Form(
        name, "float32, ONNX Runtime", files["onnx"].stat().st_size, scores, onnx(files["onnx"])
    )
    yield Form(name, "INT8, ONNX Runtime", small.bytes[0], small.scores, onnx(folder / "int8.onnx"))
    yield Form(name, "float32, secateur.compile", size, scores, compiled)
    try:
        made.package(folder / "package")
    except SecateurError as refusal:
        print(f"{name} is not packaged: {refusal}", file=sys.stderr)
    else:
        plan = (folder / "package" / "net.plan").stat().st_size
        yield Form(name, "float32, package without torch", plan, scores, packaged)


def time_all(every: Sequence[Form], held: Measuring, seconds: float) -> None:
    """All forms of all nets, interleaved, at each size of the batch, on one thread."""
    with torch_threads(1), torch.inference_mode():
        for batch in BATCHES:
            example = moved(held.data.example(batch), "cpu")
            inputs = take_rows(example, [row % batch_size(example) for row in range(batch)])
            calls = {}
            for place, form in enumerate(every):
                calls[str(place)], form.engines[batch] = form.call(inputs)
            times = compare_within(calls, seconds, rounds=_ROUNDS, rest=_REST)
            for place, form in enumerate(every):
                found = times[str(place)]
                form.latency[batch] = [found.median, found.q1, found.q3]


def ship(name: str, folder: Path, files: Path, seconds: float) -> dict[str, Any]:
    """Export, quantise, package and time what was picked; what a table may say of it."""
    study, store = str(study_of(name)), Store(folder)
    held = measuring(store, None, study)
    points = chosen(folder)
    unlike = {point.digest: point for point in points.values()}
    with beside(study):
        every = [
            form
            for number, point in enumerate(unlike.values())
            for form in forms(point_net(store, point, None, study), held, files / str(number))
        ]
        time_all(every, held, seconds)
    return {
        "picks": {axis: named(point) for axis, point in points.items()},
        "within": WITHIN,
        "machine": environment(),
        "shipped": [form.facts() for form in every],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--work", type=Path, default=Path("runs/shipped"))
    parser.add_argument("--seconds", type=float, default=20.0, help="of timing at each batch")
    parser.add_argument("--out", type=Path, default=HERE / "shipped")
    asked = parser.parse_args()
    for name in asked.names:
        folder, file = asked.work / name, asked.out / f"{name}.json"
        before: Mapping[str, Any] = read(file) if file.is_file() else {}
        took = round(sweep(name, folder) + before.get("seconds", 0))
        kept = {"study": name, "seconds": took, **found_in(folder)}
        write(file, kept)  # what follows may be stopped, and is made anew
        with tempfile.TemporaryDirectory() as files:
            made = ship(name, folder, Path(files), asked.seconds)
        write(file, {**kept, **made})


if __name__ == "__main__":
    main()
