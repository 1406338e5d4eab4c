"""Segment: a run of nodes for the native kernels, packed once, run by one native call.

Buffers are planned once, by liveness: a value's memory is taken again as soon as the last node
that reads it has run. A call allocates its outputs and nothing else.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from secateur.engine.graph import Node
from secateur.engine.lowering import Lowering, features, root
from secateur.engine.packing import Packs
from secateur.native import kernels, library
from secateur.native.structs import Layout

_PART_BYTES = 5 << 19
"""A larger batch goes through in parts, so many bytes of activations for each thread.

What one op writes is then still in the cache when the next one reads it: on a core with 512 KiB of
its own, conv4 takes 20 to 25 % less time in parts of 16 images than in one of 64.
"""

_KEPT_SIZES = 4
"""For so many sizes of the batch the buffers are kept from one call to the next."""


@dataclass
class _Workspace:
    """What one call needs for itself."""

    buffers: Any
    scratch: int
    scratch_bytes: int
    failed: ctypes.c_int32
    held: tuple[object, ...]


class Segment:
    """Nodes of the kinds that the kernels know, as an array of ops.

    Args:
        nodes: In order; no RESHAPE, none that `unsupported` refuses.
        outputs: Those of them whose values are needed outside.
        layout: How values lie in between: images one after the other, or side by side in lanes.
        batch: The size of the batch to tune for; any size is right.
        threads: At most so many.
        packs: Where packed weights are shared between plans.

    Attributes:
        reads: The nodes outside whose values it takes.
        writes: The nodes whose values it makes.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        outputs: Sequence[Node],
        *,
        layout: Layout,
        batch: int,
        threads: int,
        packs: Packs,
    ) -> None:
        inside = set(nodes)
        read = dict.fromkeys(root(value) for node in nodes for value in node.inputs)
        self.reads = tuple(node for node in read if node not in inside)
        self.writes = tuple(outputs)
        self.layout = layout
        self.threads = threads
        self._part = _part(nodes, layout) * threads
        tuned = min(batch, self._part)
        lowering = Lowering(nodes, self.reads, self.writes, layout, tuned, packs)
        self._slots = lowering.slots
        self._ops = kernels.array_of(lowering.ops)
        self._count = len(lowering.ops)
        self._run = library.library().secateur_run
        self._in_floats = [features(node) for node in self.reads]
        self._out_floats = [features(node) for node in self.writes]
        self._out_shapes = [node.sizes for node in self.writes]
        self._free: dict[int, list[_Workspace]] = {}

    def run(self, values: Sequence[Tensor]) -> list[Tensor]:
        """From the values of `reads` to those of `writes`, in fp32, on the CPU."""
        batch = values[0].shape[0]
        made = [torch.empty((batch, *shape)) for shape in self._out_shapes]
        values = [value.contiguous() for value in values]
        sources = [value.data_ptr() for value in values]
        targets = [value.data_ptr() for value in made]
        for start in range(0, batch, self._part):
            self._run_part(sources, targets, start, min(self._part, batch - start))
        return made

    def release(self) -> None:
        """Give back the memory that is kept for the next call."""
        self._free = {}

    def _run_part(self, sources: list[int], targets: list[int], start: int, batch: int) -> None:
        free = self._free.get(batch)
        if free is None:
            free = self._kept(batch)
        # Other threads take from the same list: popping is atomic, looking first is not.
        try:
            work = free.pop()
        except IndexError:
            work = self._workspace(batch)
        place = 0
        buffers = work.buffers
        for address, floats in zip(sources, self._in_floats, strict=True):
            buffers[place].data = address + 4 * floats * start
            place += 1
        for address, floats in zip(targets, self._out_floats, strict=True):
            buffers[place].data = address + 4 * floats * start
            place += 1
        status = self._run(
            self._ops,
            self._count,
            buffers,
            len(buffers),
            work.scratch,
            work.scratch_bytes,
            batch,
            self.threads,
            ctypes.byref(work.failed),
        )
        if status:
            kernels._check(status, "running the engine", f"op {work.failed.value}")
        free.append(work)

    def _kept(self, batch: int) -> list[_Workspace]:
        while len(self._free) >= _KEPT_SIZES:
            self._free.pop(next(iter(self._free)), None)
        return self._free.setdefault(batch, [])

    def _workspace(self, batch: int) -> _Workspace:
        def size(floats: int, layout: Layout) -> int:
            return kernels.lane_floats(floats, batch) if layout is Layout.LANES else floats * batch

        slots = [kernels.aligned(size(slot.floats, slot.layout)) for slot in self._slots]
        needed = kernels.scratch_bytes(self._ops, batch, self.threads)
        scratch = kernels.aligned(max(needed, 1), np.uint8)
        outside = [(0, floats * batch) for floats in self._in_floats + self._out_floats]
        buffers = kernels.buffers_of([*outside, *slots])
        held = (slots, scratch)
        return _Workspace(buffers, scratch.ctypes.data, scratch.nbytes, ctypes.c_int32(-1), held)


def _part(nodes: Sequence[Node], layout: Layout) -> int:
    """How many images one thread takes through all the ops at once."""
    lanes = kernels.lanes() if layout is Layout.LANES else 1
    per_image = 4 * max(features(n) + max(features(value) for value in n.inputs) for n in nodes)
    return max(_PART_BYTES // per_image // lanes, 1) * lanes
