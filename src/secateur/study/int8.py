"""INT8 of a point: its network quantised on the study's training data, measured as the study does.

Quality is measured of the file that is written, on validation and test data; bytes and latency
beside those of the float32 ONNX file of the same network, in one run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from secateur.artifact.calling import Call, call_of
from secateur.artifact.export import session
from secateur.artifact.int8 import EXAMPLES, OPERATION, feeds, quantise
from secateur.artifact.onnx_net import OnnxNet
from secateur.data.data import Data
from secateur.errors import UsageError
from secateur.foundation.run_example import Inputs, batch_size, each_tensor, take_rows
from secateur.measure.latency import compare_within
from secateur.point import Latency, Point, Score
from secateur.registry import importable
from secateur.spec import StudySpec
from secateur.study import presets
from secateur.study.before_training import TrainingSplit
from secateur.study.export import PointNet
from secateur.study.job import Setup
from secateur.study.point_names import point_name
from secateur.study.sensitivity import study_in
from secateur.study.store import Store
from secateur.training.loop import Loop

BATCHES = (1, 64)
WHOLE, INT8 = "onnxruntime", "onnxruntime-int8"
_BATCH = 64
_ROUNDS = (5, 200)
_REST = 0.001


@dataclass(frozen=True)
class Measuring:
    """What a study's networks are measured with.

    Attributes:
        setup: Its settings, and what builds its nets.
        data: Its data, on the CPU.
        loop: How its nets are scored.
    """

    setup: Setup
    data: Data
    loop: Loop


@dataclass(frozen=True)
class Quantised:
    """A point's INT8 file, measured beside its float32 one.

    Attributes:
        point: The point.
        scores: Of the INT8 file, on validation and test data.
        bytes: Of the INT8 file, and of the float32 one.
        latency: Of both, at each batch size, interleaved in one run; empty where it was not timed.
        examples: Training examples that it was calibrated on.
    """

    point: Point
    scores: tuple[Score, ...]
    bytes: tuple[int, int]
    latency: tuple[tuple[Latency, Latency], ...]
    examples: int


def measuring(store: Store, model: object = None, study: str | None = None) -> Measuring:
    """The data and the loop of a study: by the user's study file, or a folder that names no code.

    Args:
        store: Of the run folder.
        model: What the user names as the builder of the network, if anything.
        study: The user's own study file.

    Raises:
        UsageError: The folder names code or files, and there is no study file.
        DataError: The data cannot be read, or are no longer those of the study.
    """
    own = None if study is None else presets.read(study)
    spec = own or _harmless(store, model)
    facts = store.value("data")
    known = facts.get("fingerprint") if isinstance(facts, Mapping) else None
    setup = Setup(spec, store.folder, fingerprint=known if isinstance(known, str) else "")
    with beside(study):
        return Measuring(setup, setup.load_data(), setup.loop())


def beside(study: str | None) -> AbstractContextManager[None]:
    """While open, modules that lie beside the user's study file are found."""
    return nullcontext() if study is None else importable(Path(study).absolute().parent)


def _harmless(store: Store, model: object) -> StudySpec:
    try:
        return study_in(store.folder, () if model is None else ("model",))
    except UsageError as error:
        raise UsageError(
            OPERATION,
            error.subject,
            given=error.given,
            expected=error.expected,
            remedy="Pass the study file that was swept with --study: calibration and quality need "
            "its data.",
        ) from None


def quantised(made: PointNet, held: Measuring, path: Path, *, seconds: float = 1.0) -> Quantised:
    """Write a point's network as an INT8 file, and measure it.

    Args:
        made: The point's network.
        held: What it is measured with.
        path: Where the file goes.
        seconds: How long to time both files at each batch size; 0 for not at all.

    Raises:
        ArtifactError: It cannot be quantised or written.
        ModelError: It cannot be exported.
    """
    call = call_of(made.small, made.example, OPERATION)
    split = TrainingSplit(held.data, _BATCH, made.point.seed, EXAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "float32.onnx")
        made.write(whole, "onnx")
        words = {"secateur": f"{point_name(made.point)}, INT8"}
        quantise(whole, path, feeds(call, (batch[0] for batch in split)), metadata=words)
        files = {WHOLE: whole, INT8: path}
        times = tuple(
            _timed(files, call, held.data, batch, seconds) for batch in BATCHES if seconds
        )
        sizes = (path.stat().st_size, whole.stat().st_size)
    return Quantised(
        made.point,
        tuple(_scores(OnnxNet(path, call.names), held)),
        sizes,
        times,
        min(EXAMPLES, held.data.size("train")),
    )


def _scores(net: OnnxNet, held: Measuring) -> Iterator[Score]:
    for split in ("val", "test"):
        yield from held.loop.score(net, held.data, split, held.setup.study.training.batch_size)


def _timed(
    files: Mapping[str, Path], call: Call, data: Data, batch: int, seconds: float
) -> tuple[Latency, Latency]:
    """Both files, INT8 first."""
    (feed,) = feeds(call, [_rows(data.example(batch), batch)])
    calls = {name: pass_of(path, feed) for name, path in files.items()}
    found = compare_within(calls, seconds, rounds=_ROUNDS, rest=_REST)
    first, second = (
        Latency(each.n, each.median, each.q1, each.q3, name, 1, batch)
        for name, each in ((name, found[name]) for name in (INT8, WHOLE))
    )
    return first, second


def pass_of(path: Path, feed: Mapping[str, Any], threads: int = 1) -> Callable[[], object]:
    """A pass of an ONNX file, to be timed; its threads rest between passes."""
    running = session(path, threads, spins=False)
    wanted = {one.name: feed[one.name] for one in running.get_inputs()}
    return lambda: running.run(None, wanted)


def _rows(example: Inputs, batch: int) -> Inputs:
    rows = [row % batch_size(example) for row in range(batch)]
    found: Inputs = each_tensor(take_rows(example, rows), Tensor.contiguous)
    return found
