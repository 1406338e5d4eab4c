"""Planner: the plans of a captured graph, and which layer is faster on which side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.choice import (
    CSR,
    FOLDED,
    LANES,
    MIXED,
    ONNX,
    SERIAL,
    SPARSE,
    TORCH,
    LayerTimes,
    Times,
    timed,
)
from secateur.runtime.compiler.dense import TorchSegment
from secateur.runtime.compiler.graph import Graph, Node
from secateur.runtime.compiler.packing import Packs, unsupported
from secateur.runtime.compiler.plan import Plan, Runner, Side, plan
from secateur.runtime.compiler.recurrent import is_recurrent, recurrent
from secateur.runtime.compiler.segment import Segment
from secateur.runtime.kernels import kernels, library
from secateur.runtime.kernels.structs import Layout

REST = 0.001
"""Seconds in which the threads of the engine that ran before come to rest.

ONNX Runtime's own go on turning for some 60 ms after a pass, so they are told not to while
engines are compared: two threads of another engine would share a core with one of them.
"""

_CLEARLY = 0.95
"""A layer leaves the sparse plan, which costs a hand-over, only for so much less time."""


class Planner:
    """Builds the plans of one graph.

    Args:
        graph: What to run.
        threads: Threads inside an operator.
        seconds: How long to measure the layers at one batch size.
    """

    def __init__(self, graph: Graph, *, threads: int, seconds: float) -> None:
        self.graph = graph
        self._threads = threads
        self._seconds = seconds
        self._packs = Packs()
        self._has_onnx = onnx.available()
        self._layers = [node for node in graph.layers() if not unsupported(node)]
        self._recurrent = [node for node in graph.inner if is_recurrent(node)]

    def backends(self, batch: int, *, forced: bool = False) -> list[str]:
        """The plans that there are for a batch size, on this machine.

        Args:
            batch: The size.
            forced: Also those that are never the best.
        """
        found = [FOLDED]
        if self._has_onnx and onnx.can_run(self.graph.inner):
            found.append(ONNX)
        some = self._layers or self._recurrent
        if library.available() and some and (forced or self._has_zeros() or self._recurrent):
            found += [SPARSE, MIXED]
            found += [LANES] if forced or self.fills_lanes(batch) else []
            # Whatever else runs beside it: one thread that waits for nobody.
            found += [SERIAL] if forced or self._threads > 1 else []
        if (forced or not library.available()) and self._layers:
            found.append(CSR)
        return found

    def shares_each(self, batch: int) -> bool:
        """Whether a batch is so small that threads share each op, and wait for each other."""
        return self._threads > 1 and batch < kernels.lanes()

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
        lanes = name == LANES or (name in (MIXED, SERIAL) and self.fills_lanes(batch))
        layout = Layout.LANES if lanes else Layout.PLAIN
        use_onnx = self._has_onnx and name in (ONNX, MIXED)
        calls = self._steps(batch, name)

        def make(side: Side, nodes: Sequence[Node], outputs: Sequence[Node]) -> Runner:
            if side is Side.SPARSE:
                return self._segment(nodes, outputs, layout, batch, serial=name == SERIAL)
            if side is Side.DENSE and use_onnx:
                return onnx.OnnxSegment(nodes, outputs, threads=self._threads, spins=spins)
            return TorchSegment(nodes, outputs, csr=name == CSR, calls=calls)

        def is_dense(node: Node) -> bool:
            return use_onnx and onnx.can_run([node])

        whole = Side.SPARSE if name in (SPARSE, SERIAL, LANES) else Side.DENSE
        chosen = sides or dict.fromkeys(self._layers, whole)
        return plan(self.graph, chosen, make, is_dense=is_dense)

    def layer_times(self, batch: int) -> Times:
        """Layer -> backend -> seconds of the layer alone."""
        layers = self._layers if library.available() and self._has_zeros() else []
        layouts = {SPARSE: Layout.PLAIN, LANES: Layout.LANES}
        if not self.fills_lanes(batch):
            del layouts[LANES]
        found = {}
        for node in layers:
            inputs = [_random(node, value, batch) for value in node.inputs]
            runners: dict[str, Runner] = {TORCH: TorchSegment([node], [node])}
            if self._has_onnx:
                runners[ONNX] = onnx.OnnxSegment([node], [node], threads=self._threads, spins=False)
            for name, layout in layouts.items():
                runners[name] = self._segment([node], [node], layout, batch)
            calls = {name: partial(runner.run, inputs) for name, runner in runners.items()}
            times = timed(calls, self._seconds / len(layers), REST)
            found[node] = {name: each.median for name, each in times.items()}
        return found

    def sides(self, times: Times, batch: int) -> dict[Node, Side]:
        """Each layer where it is fastest by itself."""
        sparse = LANES if self.fills_lanes(batch) else SPARSE
        found = {}
        for node, seconds in times.items():
            dense = min(seconds[name] for name in (ONNX, TORCH) if name in seconds)
            found[node] = Side.DENSE if dense < _CLEARLY * seconds[sparse] else Side.SPARSE
        return found

    def is_mixture(self, sides: Mapping[Node, Side]) -> bool:
        """Whether a mixed plan is another one than that of the kernels, or the dense one."""
        if Side.SPARSE not in sides.values() and not self._recurrent:
            return False
        strange = [node for node in self.graph.inner if unsupported(node)]
        helped = self._has_onnx and any(onnx.can_run([node]) for node in strange)
        return helped or Side.DENSE in sides.values()

    def described(
        self, backend: str, times: Times, sides: Mapping[Node, Side]
    ) -> tuple[LayerTimes, ...]:
        """What each layer took, and what runs it."""
        dense = ONNX if self._has_onnx else TORCH

        def runs(node: Node) -> str:
            if backend != MIXED:
                return backend
            return SPARSE if sides.get(node) is Side.SPARSE else dense

        return tuple(LayerTimes(node, times.get(node, {}), runs(node)) for node in self._layers)

    def fills_lanes(self, batch: int) -> bool:
        """Less than half full, they do more work for nothing than for the batch."""
        return library.available() and 2 * batch >= kernels.lanes()

    def _steps(self, batch: int, name: str) -> dict[Node, Callable[..., Any]]:
        """What runs the recurrent nodes where the kernels do."""
        if name not in (SPARSE, SERIAL, LANES, MIXED) or not library.available():
            return {}
        threads = 1 if name == SERIAL else self._threads
        return {
            node: recurrent(node, batch=batch, threads=threads, packs=self._packs)
            for node in self._recurrent
        }

    def _has_zeros(self) -> bool:
        """Whether sparse kernels may win at all: somewhere there must be enough zeros."""
        return any(2 * node.zeros >= node.matrix.numel() for node in self._layers)

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
        if nodes[0].rows and self.fills_lanes(batch * nodes[0].rows):
            layout = Layout.LANES
        return Segment(
            nodes, outputs, layout=layout, batch=batch, threads=threads, packs=self._packs
        )


def _random(node: Node, value: Node, batch: int) -> Tensor:
    """Numbers like those that a layer reads."""
    if value.shape is not None:
        return torch.rand(batch, *value.shape)
    dims = value.dims or (None, value.width)
    left = batch * node.rows * (value.width or 0) // prod(size or 1 for size in dims)
    first = next((place for place, size in enumerate(dims) if size is None), None)
    return torch.rand([left if place == first else size or 1 for place, size in enumerate(dims)])


def call_of(run: Callable[..., object], inputs: Sequence[Tensor]) -> Callable[[], object]:
    """A call that can be timed."""
    return lambda: run(*inputs)
