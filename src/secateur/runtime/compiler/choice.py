"""Choice: the backends there are, what was measured of them, and which one runs because of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from secateur.measure.latency import compare_within
from secateur.point import Timing
from secateur.runtime.compiler.graph import Node

SPARSE, SERIAL, LANES, MIXED = "sparse", "sparse-serial", "sparse-lanes", "mixed"
LAYERS, ONNX, TORCH, FOLDED, CSR = (
    "sparse-layers",
    "onnxruntime",
    "torch",
    "torch-folded",
    "torch-csr",
)
BACKENDS = (SPARSE, SERIAL, LANES, MIXED, LAYERS, ONNX, TORCH, FOLDED, CSR)
DENSE = (ONNX, TORCH, FOLDED)
"""Those that multiply every zero: what a user has without this library."""

SLOWER = 1.05
"""A plan that takes so many times what the best dense engine takes is never chosen."""

_ROUNDS = (5, 100)
"""The fewest and the most timed rounds."""

_SHORT = 0.001
"""A pass that one thread makes in fewer seconds is not shared: threads that wait for each other
are at the mercy of the scheduler, which now and then holds one up for some milliseconds."""


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
        left_out: Backend -> why it is not among them: it failed, or gave another output.
    """

    batch: int
    backend: str
    plan: Callable[..., Any]
    timings: Mapping[str, Timing] = field(default_factory=dict)
    layers: tuple[LayerTimes, ...] = ()
    why: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)

    def release(self) -> None:
        """Give back the memory that is kept for the next call."""
        release = getattr(self.plan, "release", None)
        if release is not None:
            release()


def fastest(timings: Mapping[str, Timing], waiting: Collection[str] = (SPARSE, MIXED)) -> str:
    """The plan whose third quartile is the lowest, among those that keep the promise.

    The promise: none is taken whose median is more than 5 % above that of the best dense engine,
    which is measured beside it.

    Threads that wait for each other are held up now and then, for longer than a small network
    takes: such a plan has a good median and a bad third quartile, or has had luck for as long as
    it was measured. So it is left out where one thread by itself takes no time worth sharing.

    Args:
        timings: Backend -> what was measured.
        waiting: The plans in which threads wait for each other.
    """
    short = SERIAL in timings and timings[SERIAL].median < _SHORT
    tried = {name: one for name, one in timings.items() if not short or name not in waiting}
    dense = [timings[name] for name in DENSE if name in timings]
    if dense:
        median = SLOWER * min(one.median for one in dense)
        tried = {n: one for n, one in tried.items() if n in DENSE or one.median <= median}
    return min(tried, key=lambda name: tried[name].q3)


def timed(
    calls: Mapping[str, Callable[[], object]], seconds: float, rest: float
) -> dict[str, Timing]:
    """Medians of interleaved rounds, as many as fit into the time, though never too few."""
    return compare_within(calls, seconds, rounds=_ROUNDS, rest=rest)
