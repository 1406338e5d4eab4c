"""Benchmark: how long a model file takes to run, beside the dense network, in one run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from secateur.artifact.building import Builder, dense_net
from secateur.artifact.export import export_onnx, random_like, session
from secateur.artifact.inspect_onnx import inspect_onnx
from secateur.artifact.load import load
from secateur.artifact.memory import working_memory
from secateur.artifact.path import checked_path
from secateur.artifact.reader import reading
from secateur.errors import ArtifactError, UnknownNameError, UsageError
from secateur.foundation.timed_engines import ENGINES
from secateur.measure.environment import environment
from secateur.measure.latency import compare, torch_threads
from secateur.point import Timing
from secateur.runtime.compiler import Engine
from secateur.runtime.compiler import compile as compile_engine

Call = Callable[[], object]

_REST = 0.001
"""Seconds in which the threads of the engine that ran before come to rest."""

_CHOOSING = 0.3
"""Seconds that our engine measures, for each net, number of threads and batch."""


@dataclass(frozen=True)
class Row:
    """One file and its dense network on one engine.

    Attributes:
        engine: `torch` (eager), `onnxruntime` or `secateur` (what `secateur.compile` makes).
        threads: Threads inside an operator.
        batch: Examples of one pass.
        pruned: Seconds of a pass of the file.
        dense: Of the dense network; None without one.
        pruned_memory: Bytes by which one pass raises the process's memory; None if not known.
        dense_memory: The same of the dense network.
        pruned_plan: What our engine chose for the file: `sparse-lanes`; empty for other engines.
        dense_plan: The same of the dense network.
    """

    engine: str
    threads: int
    batch: int
    pruned: Timing
    dense: Timing | None
    pruned_memory: int | None
    dense_memory: int | None
    pruned_plan: str = ""
    dense_plan: str = ""

    @property
    def throughput(self) -> float:
        """Examples a second through the file."""
        return self.batch / self.pruned.median

    @property
    def speedup(self) -> float | None:
        """Dense median over pruned median: more than 1 is faster."""
        return self.dense.median / self.pruned.median if self.dense else None

    @property
    def is_within_noise(self) -> bool:
        """Whether the two quartile ranges overlap, so that the ratio says nothing."""
        if self.dense is None:
            return False
        return self.pruned.q1 <= self.dense.q3 and self.dense.q1 <= self.pruned.q3


@dataclass(frozen=True)
class Benchmark:
    """All rows, and where they were measured.

    Attributes:
        rows: One for each engine, number of threads, and batch.
        environment: Versions and machine.
    """

    rows: tuple[Row, ...]
    environment: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        derived = ("throughput", "speedup", "is_within_noise")
        rows = [asdict(row) | {name: getattr(row, name) for name in derived} for row in self.rows]
        return {"rows": rows, "environment": self.environment}


def bench(
    path: str | os.PathLike[str],
    *,
    dense: str | os.PathLike[str] | None = None,
    build_model: Builder | None = None,
    example: Tensor | None = None,
    engines: Sequence[str] = ENGINES,
    batches: Sequence[int] = (1, 64),
    threads: Sequence[int] = (1,),
    repeats: int = 50,
) -> Benchmark:
    """Time a model file beside its dense network; each round times every engine and both nets.

    What slows the machine for a while slows all of them, so that ratios are fair.

    Args:
        path: A safetensors file of ours, or an ONNX file (which only ONNX Runtime runs).
        dense: The dense network's file; without it, what `build_model` or the reference net's
            builder gives.
        build_model: Builds the dense network, for files that name no reference net; as of
            `secateur.load`.
        example: A batch `[N, ...]` that the net takes; not needed where the file tells its shape.
        engines: Of `torch` (eager), `onnxruntime`, `secateur`.
        batches: Examples of one pass.
        threads: Threads inside an operator.
        repeats: Timed rounds.

    Raises:
        UnknownNameError: No such engine.
        ArtifactError: A file cannot be read, or does not tell the shape of its input.
        ModelError: The network does not fit the file, or fails on the example.

    Example:
        >>> from secateur.artifact.save import save
        >>> file = os.path.join(tempfile.mkdtemp(), "net.safetensors")
        >>> save(nn.Linear(4, 2), file, example_inputs=torch.zeros(1, 4))
        >>> made = bench(file, build_model=lambda: nn.Linear(4, 2), engines=["torch"], repeats=3)
        >>> [(row.engine, row.batch, row.pruned.n) for row in made.rows]
        [('torch', 1, 3), ('torch', 64, 3)]
    """
    for engine in engines:
        if engine not in ENGINES:
            raise UnknownNameError("engine", engine, ENGINES)
    asked = engines
    runs: tuple[str, ...] = ENGINES
    if _is_onnx(path) or (dense is not None and _is_onnx(dense)):
        runs = ("onnxruntime",)
        engines = [engine for engine in engines if engine in runs]
    if not engines:
        raise UsageError(
            "timing a model file",
            "the engines",
            given=", ".join(asked) or "none",
            expected=f"{', '.join(runs)}: what this file can be run on",
            remedy="Leave the engines out, or name one of these.",
        )
    place = checked_path(path, "timing a model file")
    for one in (path, dense):
        if one is not None and _is_onnx(one):
            # A runtime would unfold functions without an end, and hear no Ctrl-C meanwhile.
            inspect_onnx(checked_path(one, "timing a model file"))
    inputs = _example(place) if example is None else example
    if not isinstance(inputs, Tensor):
        raise ArtifactError(
            "timing a model file",
            "the example",
            given=f"a {type(inputs).__name__}",
            expected="one tensor",
            remedy="Time a network of several inputs with secateur.measure.latency.compare.",
        )
    with tempfile.TemporaryDirectory() as folder:
        nets = {"pruned": _net(path, build_model)}
        if dense is not None:
            nets["dense"] = _net(dense, build_model)
        elif not _is_onnx(path):
            nets["dense"] = _dense_of(path, build_model)
        files = {}
        if "onnxruntime" in engines:
            files = {name: _onnx(net, inputs, Path(folder, name)) for name, net in nets.items()}
        rows: list[Row] = []
        for count in threads:
            for batch in batches:
                rows += _rows(nets, files, random_like(inputs, batch), engines, count, repeats)
    return Benchmark(tuple(rows), environment())


def _rows(
    nets: dict[str, nn.Module | Path],
    files: dict[str, Path],
    inputs: Tensor,
    engines: Sequence[str],
    threads: int,
    repeats: int,
) -> Iterator[Row]:
    calls: dict[tuple[str, str], Call] = {}
    memory: dict[tuple[str, str], int | None] = {}
    plans: dict[tuple[str, str], str] = {}
    with torch_threads(threads), torch.inference_mode():
        for engine, name in product(engines, nets):
            if engine == "torch":
                call = _torch_call(nets[name], inputs)
                memory[engine, name] = working_memory(call)
            elif engine == "secateur":
                compiled = _compiled(nets[name], inputs, threads)
                plans[engine, name] = compiled.choice(len(inputs)).backend
                memory[engine, name] = _engine_memory(compiled, inputs)
                call = partial(compiled, inputs)
            else:
                # With an arena, a second pass takes no more memory, however much it uses.
                memory[engine, name] = working_memory(
                    _onnx_call(files[name], inputs, threads, arena=False)
                )
                call = _onnx_call(files[name], inputs, threads, arena=True)
            calls[engine, name] = call
        times = compare(
            {"/".join(key): call for key, call in calls.items()}, repeats=repeats, rest=_REST
        )
    for engine in engines:
        yield Row(
            engine,
            threads,
            len(inputs),
            times[f"{engine}/pruned"],
            times.get(f"{engine}/dense"),
            memory[engine, "pruned"],
            memory.get((engine, "dense")),
            plans.get((engine, "pruned"), ""),
            plans.get((engine, "dense"), ""),
        )


def _torch_call(net: nn.Module | Path, inputs: Tensor) -> Call:
    run = _module(net)
    return lambda: run(inputs)


def _module(net: nn.Module | Path) -> nn.Module:
    if isinstance(net, nn.Module):
        return net
    raise ArtifactError(
        "timing a model file",
        str(net),
        given="an ONNX file",
        expected="a safetensors file for this engine",
        remedy="Choose the engine onnxruntime.",
    )


def _compiled(net: nn.Module | Path, inputs: Tensor, threads: int) -> Engine:
    sizes = [len(inputs)]
    return compile_engine(
        _module(net), inputs, threads=threads, batches=sizes, seconds=_CHOOSING, spins=False
    )


def _engine_memory(engine: Engine, inputs: Tensor) -> int | None:
    """Its buffers included; not known where another engine keeps them."""
    if engine.choice(len(inputs)).backend in ("mixed", "onnxruntime"):
        return None

    def call() -> object:
        engine.release()
        return engine(inputs)

    return working_memory(call)


def _onnx_call(path: Path, inputs: Tensor, threads: int, *, arena: bool) -> Call:
    running = session(path, threads, arena=arena, spins=False)
    feed = {running.get_inputs()[0].name: inputs.numpy()}
    return lambda: running.run(None, feed)


def _net(path: str | os.PathLike[str], build_model: Builder | None) -> nn.Module | Path:
    return Path(path) if _is_onnx(path) else load(path, build_model)


def _onnx(net: nn.Module | Path, example: Tensor, path: Path) -> Path:
    if isinstance(net, Path):
        return net
    export_onnx(net, example, path, tolerance=float("inf"))
    return path


def _is_onnx(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() == ".onnx"


def _dense_of(path: str | os.PathLike[str], build_model: Builder | None) -> nn.Module:
    with reading(path) as file:
        return dense_net(file, build_model).eval()


def _example(path: Path) -> Tensor:
    if _is_onnx(path):
        shape = session(path).get_inputs()[0].shape[1:]
    else:
        with reading(path) as file:
            source = file.manifest.source
            shape = file.manifest.input or (source.shape if source else [])
    if not shape or not all(isinstance(size, int) for size in shape):
        raise ArtifactError(
            "timing a model file",
            str(path),
            given="without the shape of its input",
            expected="one, or an example",
            remedy="Pass example=, or save it with example_inputs=.",
        )
    return torch.zeros(1, *shape)
