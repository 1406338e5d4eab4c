"""Autotune: which engine runs which layer, by measuring them on the real shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from secateur.measure.latency import compare_within
from secateur.point import Timing
from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.dense import TorchSegment
from secateur.runtime.compiler.graph import Graph, Node
from secateur.runtime.compiler.packing import Packs, unsupported
from secateur.runtime.compiler.plan import Plan, Runner, Side, plan
from secateur.runtime.compiler.segment import Segment
from secateur.runtime.kernels import kernels, library
from secateur.runtime.kernels.structs import Layout

SPARSE, SERIAL, LANES, MIXED = "sparse", "sparse-serial", "sparse-lanes", "mixed"
ONNX, TORCH, CSR = "onnxruntime", "torch", "torch-csr"
BACKENDS = (SPARSE, SERIAL, LANES, MIXED, ONNX, TORCH, CSR)
_ROUNDS = (5, 100)
"""The fewest and the most timed rounds."""

_REST = 0.001
"""Seconds in which the threads of the engine that ran before come to rest.

ONNX Runtime's own go on turning for some 60 ms after a pass, so they are told not to while
engines are compared: two threads of another engine would share a core with one of them.
"""

_SLEEP = 0.01
"""Seconds after which the threads of OpenMP sleep: to wake them is part of a pass now and then."""

_SHORT = 0.001
"""A pass that one thread makes in fewer seconds is not shared: threads that wait for each other
are at the mercy of the scheduler, which now and then holds one up for some milliseconds."""

_CLEARLY = 0.95
"""A layer leaves the sparse plan, which costs a hand-over, only for so much less time."""


Times = Mapping[Node, Mapping[str, float]]


@dataclass(frozen=True)
class LayerTimes:
    """What one layer takes alone, at one batch size.

    Attributes:
        node: The layer.
        seconds: Backend -> the median time; empty where nothing was measured.
        backend: What runs it in the plan that was chosen.
    """

    node: Node
    seconds: Mapping[str, float]
    backend: str


@dataclass(frozen=True)
class Choice:
    """What was measured at one batch size, and what is run because of it.

    Attributes:
        batch: The size of the batch.
        backend: The name of the fastest plan.
        plan: That plan.
        timings: Backend -> time of the whole network.
        layers: Each layer alone.
        why: Why the network runs as it is; empty where a plan was found.
    """

    batch: int
    backend: str
    plan: Callable[[Tensor], Any]
    timings: Mapping[str, Timing] = field(default_factory=dict)
    layers: tuple[LayerTimes, ...] = ()
    why: str = ""

    def release(self) -> None:
        """Give back the memory that is kept for the next call."""
        if isinstance(self.plan, Plan):
            self.plan.release()


class Chooser:
    """Builds the plans of one graph and times them.

    Args:
        graph: What to run.
        threads: Threads inside an operator.
        seconds: How long to measure at one batch size: so long for the layers, so long for the
            whole.
        spins: Whether ONNX Runtime's threads go on turning after a pass of the plan it runs.
    """

    def __init__(self, graph: Graph, *, threads: int, seconds: float, spins: bool = True) -> None:
        self._graph = graph
        self._threads = threads
        self._seconds = seconds
        self._spins = spins
        self._packs = Packs()
        self._has_onnx = onnx.available()

    def choose(self, inputs: Tensor) -> Choice:
        """Measure at one batch size and take the fastest.

        Args:
            inputs: A batch of the size to choose for.
        """
        batch = len(inputs)
        times = self._layer_times(batch)
        plans = {name: self.build(name, batch) for name in self.backends(batch) if name != MIXED}
        mixed = self._mixed(times, batch)
        if len(set(mixed.values())) > 1:
            plans[MIXED] = self.build(MIXED, batch, mixed)
        rest = _SLEEP if self._threads > 1 else _REST
        calls = {name: _call(plans[name], inputs) for name in plans}
        timings = timed(calls, self._seconds, rest)
        best = fastest(timings)
        made = self.build(ONNX, batch, spins=self._spins) if best == ONNX else plans[best]
        return Choice(batch, best, made, timings, self._chosen(best, times, mixed))

    def forced(self, backend: str, inputs: Tensor) -> Choice:
        """One plan, whatever else might be faster.

        Args:
            backend: One of `backends`.
            inputs: A batch of the size to choose for; `mixed` times the layers at it.
        """
        batch = len(inputs)
        times = self._layer_times(batch) if backend == MIXED else {}
        mixed = self._mixed(times, batch)
        made = self.build(backend, batch, mixed or None, spins=self._spins and backend == ONNX)
        return Choice(batch, backend, made, {}, self._chosen(backend, times, mixed))

    def backends(self, batch: int, *, forced: bool = False) -> list[str]:
        """The plans that there are for a batch size, on this machine.

        Args:
            batch: The size.
            forced: Also those that are never the best.
        """
        found = [TORCH]
        if self._has_onnx and onnx.can_run(self._graph.nodes[1:]):
            found.append(ONNX)
        if library.available() and self._layers() and (forced or self._has_zeros()):
            found += [SPARSE, MIXED]
            found += [LANES] if forced or self._fills_lanes(batch) else []
            # A hand-over between threads costs as much as a small layer of few examples.
            few = self._threads > 1 and batch < kernels.lanes()
            found += [SERIAL] if forced or few else []
        if (forced or not library.available()) and self._layers():
            found.append(CSR)
        return found

    def build(
        self,
        name: str,
        batch: int,
        sides: Mapping[Node, Side] | None = None,
        *,
        spins: bool = False,
    ) -> Plan:
        """One plan.

        Args:
            name: One of `BACKENDS`.
            batch: The batch size to tune for.
            sides: Layer -> what runs it; needed for `mixed` alone.
            spins: Whether ONNX Runtime's threads go on turning after a pass.
        """
        lanes = name == LANES or (name == MIXED and self._fills_lanes(batch))
        layout = Layout.LANES if lanes else Layout.PLAIN
        use_onnx = self._has_onnx and name in (ONNX, MIXED)

        def make(side: Side, nodes: Sequence[Node], outputs: Sequence[Node]) -> Runner:
            if side is Side.SPARSE:
                return self._segment(nodes, outputs, layout, batch, serial=name == SERIAL)
            if side is Side.DENSE and use_onnx:
                return onnx.OnnxSegment(nodes, outputs, threads=self._threads, spins=spins)
            return TorchSegment(nodes, outputs, csr=name == CSR)

        whole = Side.SPARSE if name in (SPARSE, SERIAL, LANES) else Side.DENSE
        return plan(self._graph, sides or dict.fromkeys(self._layers(), whole), make)

    def _layers(self) -> list[Node]:
        return [node for node in self._graph.layers() if not unsupported(node)]

    def _has_zeros(self) -> bool:
        """Whether sparse kernels may win at all: somewhere there must be enough zeros."""
        return any(2 * node.zeros >= node.matrix.numel() for node in self._layers())

    def _fills_lanes(self, batch: int) -> bool:
        """Less than half full, they do more work for nothing than for the batch."""
        return library.available() and 2 * batch >= kernels.lanes()

    def _segment(
        self,
        nodes: Sequence[Node],
        outputs: Sequence[Node],
        layout: Layout,
        batch: int,
        *,
        serial: bool = False,
    ) -> Segment:
        threads = 1 if serial else self._threads
        return Segment(
            nodes, outputs, layout=layout, batch=batch, threads=threads, packs=self._packs
        )

    def _layer_times(self, batch: int) -> Times:
        """Layer -> backend -> seconds of the layer alone."""
        layers = self._layers() if library.available() and self._has_zeros() else []
        layouts = {SPARSE: Layout.PLAIN, LANES: Layout.LANES}
        if not self._fills_lanes(batch):
            del layouts[LANES]
        found = {}
        for node in layers:
            inputs = [torch.rand(batch, *value.sizes) for value in node.inputs]
            runners: dict[str, Runner] = {TORCH: TorchSegment([node], [node])}
            if self._has_onnx:
                runners[ONNX] = onnx.OnnxSegment([node], [node], threads=self._threads, spins=False)
            for name, layout in layouts.items():
                runners[name] = self._segment([node], [node], layout, batch)
            calls = {name: _call(runner.run, inputs) for name, runner in runners.items()}
            times = timed(calls, self._seconds / len(layers), _REST)
            found[node] = {name: each.median for name, each in times.items()}
        return found

    def _mixed(self, times: Times, batch: int) -> dict[Node, Side]:
        """Each layer where it is fastest by itself."""
        sparse = LANES if self._fills_lanes(batch) else SPARSE
        sides = {}
        for node, seconds in times.items():
            dense = min(seconds[name] for name in (ONNX, TORCH) if name in seconds)
            sides[node] = Side.DENSE if dense < _CLEARLY * seconds[sparse] else Side.SPARSE
        return sides

    def _chosen(
        self, backend: str, times: Times, mixed: Mapping[Node, Side]
    ) -> tuple[LayerTimes, ...]:
        dense = ONNX if self._has_onnx else TORCH

        def runs(node: Node) -> str:
            if backend != MIXED:
                return backend
            return SPARSE if mixed.get(node) is Side.SPARSE else dense

        return tuple(LayerTimes(node, times.get(node, {}), runs(node)) for node in self._layers())


def fastest(timings: Mapping[str, Timing]) -> str:
    """The plan whose third quartile is the lowest.

    Threads that wait for each other are held up now and then, for longer than a small network
    takes: such a plan has a good median and a bad third quartile, or has had luck for as long as
    it was measured. So it is left out where one thread by itself takes no time worth sharing.
    """
    short = SERIAL in timings and timings[SERIAL].median < _SHORT
    waiting = (SPARSE, MIXED) if short else ()
    return min((name for name in timings if name not in waiting), key=lambda n: timings[n].q3)


def timed(
    calls: Mapping[str, Callable[[], object]], seconds: float, rest: float
) -> dict[str, Timing]:
    """Medians of interleaved rounds, as many as fit into the time, though never too few."""
    return compare_within(calls, seconds, rounds=_ROUNDS, rest=rest)


def _call(run: Callable[[Any], object], inputs: object) -> Callable[[], object]:
    return lambda: run(inputs)
