"""Segment: a run of nodes for the native kernels, packed once, run by one native call.

Buffers are planned once, by liveness: a value's memory is taken again as soon as the last node
that reads it has run. A call allocates its outputs and nothing else.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from secateur.runtime.compiler.graph import Node, NodeKind
from secateur.runtime.compiler.lowering import Lowering, features, root
from secateur.runtime.compiler.packing import Packs
from secateur.runtime.kernels import kernels, memory
from secateur.runtime.kernels.structs import Buffer, Layout, Task

_PART_BYTES = 5 << 19
"""A thread takes a batch through all the ops in parts of so many bytes of activations.

What one op writes is then still in the cache when the next one reads it: on a core with 512 KiB of
its own, conv4 takes 20 to 25 % less time in parts of 16 images than in one of 64.
"""

_KEPT_SIZES = 4
"""For so many sizes of parts the buffers are kept from one call to the next."""

_CACHE_LINE = 16
"""In floats. Two threads that write to one line take it away from each other."""


@dataclass
class _Workspace:
    """What one call needs for itself: a task, those of its buffers that lie outside, and memory."""

    task: Task
    outside: Sequence[Buffer]
    held: tuple[object, ...]


class Segment:
    """Nodes of the kinds that the kernels know, as an array of ops.

    Args:
        nodes: In order; no RESHAPE, none that `unsupported` refuses; all of them work row by row,
            or none.
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
        self._by_row = by_row = bool(nodes[0].rows)
        read = dict.fromkeys(value for node in nodes for value in node.inputs)
        homes = {value: root(value, by_row=by_row) for value in read}
        # Of rows, the shape that they are read in is the one that is written.
        given = [value if by_row else homes[value] for value in read if homes[value] not in inside]
        self.reads = tuple(dict.fromkeys(given))
        self.writes = tuple(outputs)
        self.layout = layout
        self.threads = threads
        self._step = kernels.lanes() if layout is Layout.LANES else 1
        self._largest = _largest_part(nodes, self._step, by_row=by_row)
        batch *= nodes[0].rows or 1
        tuned = self._part(batch) or batch
        lowering = Lowering(nodes, self.reads, self.writes, layout, tuned, packs, by_row=by_row)
        self._slots = lowering.slots
        self._ops = kernels.array_of(lowering.ops)
        around = (*self.reads, *self.writes)
        self._floats = [features(node, by_row=by_row) for node in around]
        self._shapes = [node.shape for node in self.writes]
        self._sources = [_source(node, inside, self.reads) for node in self.writes]
        self._free: dict[int, list[_Workspace]] = {}

    def run(self, values: Sequence[Tensor]) -> list[Tensor]:
        """From the values of `reads` to those of `writes`, in fp32, on the CPU."""
        batch = values[0].numel() // self._floats[0] if self._by_row else values[0].shape[0]
        made = self._empty(values, batch)
        # The copies that this may make have to live until the kernels have run.
        tensors = [*[value.contiguous() for value in values], *made]
        part = self._part(batch)
        free = self._free.get(part or batch)
        if free is None:
            free = self._kept(part or batch)
        # Other threads take from the same list: popping is atomic, looking first is not.
        try:
            work = free.pop()
        except IndexError:
            work = self._workspace(part, batch)
        for tensor, buffer in zip(tensors, work.outside, strict=True):
            buffer.data = tensor.data_ptr()
            buffer.count = tensor.numel()
        work.task.batch = batch
        kernels.run(work.task)
        free.append(work)
        return made

    def _empty(self, values: Sequence[Tensor], batch: int) -> list[Tensor]:
        """What is to be written: as wide as it is, and before that as what it is made from."""
        if not self._by_row:
            return [torch.empty((batch, *(shape or ()))) for shape in self._shapes]
        widths = self._floats[len(self.reads) :]
        return [
            torch.empty((*values[source].shape[:-1], width))
            if shape is None
            else torch.empty((batch * width // prod(shape), *shape))
            for shape, source, width in zip(self._shapes, self._sources, widths, strict=True)
        ]

    def release(self) -> None:
        """Give back the memory that is kept for the next call."""
        self._free = {}

    def _part(self, batch: int) -> int:
        """How many images a thread takes through all the ops at once; 0: too few to cut up."""
        if self.threads > 1 and batch < self.threads * self._step:
            return 0
        parts = _round_up(-(-batch // self._largest), self.threads)
        return _round_up(-(-batch // parts), self._step)

    def _kept(self, size: int) -> list[_Workspace]:
        while len(self._free) >= _KEPT_SIZES:
            self._free.pop(next(iter(self._free)), None)
        return self._free.setdefault(size, [])

    def _workspace(self, part: int, batch: int) -> _Workspace:
        slots = [self._memory(slot, part, batch) for slot in self._slots]
        places = [(array.ctypes.data, array.size, step) for array, step in slots]
        buffers = kernels.buffers_of([*[(0, 0)] * len(self._floats), *places])
        scratch = memory.aligned(kernels.scratch_bytes(self._ops, self.threads), np.uint8)
        task = kernels.task(
            self._ops, buffers, scratch, batch=batch, threads=self.threads, part=part
        )
        return _Workspace(task, [buffers[place] for place in range(len(self._floats))], (slots,))

    def _memory(self, slot: int, part: int, batch: int) -> tuple[memory.Floats, int]:
        """A slot's memory, and the floats from one thread's to the next one's."""
        images = part or batch
        floats = slot * images
        if self.layout is Layout.LANES:
            floats = kernels.lane_floats(slot, images)
        if not part:
            return memory.aligned(floats), 0
        step = _round_up(floats, _CACHE_LINE)
        return memory.aligned(step * self.threads), step


def _source(node: Node, inside: Container[Node], reads: Sequence[Node]) -> int:
    """Which value from outside it is that a value has its axes from, but for the last."""
    while node in inside or (node.kind is NodeKind.RESHAPE and node not in reads):
        node = node.inputs[0]
    return reads.index(node) if node in reads else 0


def _largest_part(nodes: Sequence[Node], step: int, *, by_row: bool) -> int:
    def size(node: Node) -> int:
        return features(node, by_row=by_row)

    per_image = 4 * max(size(node) + max(map(size, node.inputs)) for node in nodes)
    return max(_PART_BYTES // per_image // step, 1) * step


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step
