"""Net: a plan file, packed for this machine's instruction set, as a function on arrays."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secateur.errors import ArtifactError, ModelError
from secateur.runtime.kernels import kernels
from secateur.runtime.kernels.memory import Floats, aligned
from secateur.runtime.kernels.packs import Pack, pack_layer
from secateur.runtime.kernels.structs import (
    Buffer,
    Flag,
    KernelLayer,
    Layout,
    Op,
    OpKind,
    Shape,
    Task,
)
from secateur.runtime.portable.plan_file import Ops, StoredWeight, buffer_floats, read_plan

_PART_BYTES = 5 << 19
"""A thread takes a batch through all the ops in parts of so many bytes of activations."""

_TUNED = 64
"""Weights are packed for a part of at most so many images; they are right for any."""

_KEPT_SIZES = 4
_CACHE_LINE = 16
_RUNTIME = "libgomp.so.1"
_OPERATION = "running a packaged network"


class Net:
    """A network that `secateur package` wrote. Several threads may call it at once.

    Args:
        path: The plan file.
        threads: At most so many; more than one only where the system has an OpenMP runtime.

    Attributes:
        inputs: The shape of one example.
        outputs: The shape of its output.

    Raises:
        ArtifactError: The file is missing, damaged or too new.
        KernelError: The kernels cannot be loaded here.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from secateur.runtime.portable.plan_file import PlanFile, encode, ops_of
        >>> relu = (OpKind.RELU, 0, 0, 0, 0, -1, 1, -1, (2, 1, 1, 2, *[1] * 6, 0, 0, 1, 1), 1, 0)
        >>> path = Path(tempfile.mkdtemp(), "net.plan")
        >>> _ = path.write_bytes(encode(PlanFile((2,), (2,), ops_of([relu]), ops_of([]), ())))
        >>> Net(path)(np.float32([[-1, 2]])).tolist()
        [[0.0, 2.0]]
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        plan = read_plan(path)
        if threads > 1:
            with suppress(OSError):  # without one the kernels run on the calling thread
                ctypes.CDLL(_RUNTIME)
        self.inputs, self.outputs = plan.inputs, plan.outputs
        self._plain = _Runner(plan.ops, plan.weights, Layout.PLAIN, threads, os.fspath(path))
        self._lanes = None
        if len(plan.lane_ops):
            self._lanes = _Runner(
                plan.lane_ops, plan.weights, Layout.LANES, threads, os.fspath(path)
            )

    def __call__(self, inputs: NDArray[Any]) -> Floats:
        """From a batch of examples `[N, ...]` in float32 to their outputs.

        Raises:
            ModelError: It is of another shape or type.
        """
        given = np.asarray(inputs)
        if given.dtype != np.float32 or given.ndim < 1 or given.shape[1:] != self.inputs:
            raise ModelError(
                _OPERATION,
                "the input",
                given=f"of shape {list(given.shape)}, {given.dtype}",
                expected=f"of shape {['N', *self.inputs]}, float32",
                remedy="Give a batch of what the network was packaged for.",
            )
        ready = np.require(given, requirements=["C", "A"])
        made = np.empty((len(ready), *self.outputs), np.float32)
        if len(ready):
            self._runner(len(ready)).run(ready, made)
        return made

    def _runner(self, batch: int) -> _Runner:
        # Less than half full, lanes do more work for nothing than for the batch.
        if self._lanes is not None and 2 * batch >= kernels.lanes():
            return self._lanes
        return self._plain


@dataclass
class _Workspace:
    task: Task
    buffers: ctypes.Array[Buffer]
    held: tuple[object, ...]


class _Runner:
    """The ops of one layout, packed, and the memory between them."""

    def __init__(
        self,
        ops: Ops,
        weights: Sequence[StoredWeight],
        layout: Layout,
        threads: int,
        name: str,
    ) -> None:
        self._floats = buffer_floats(ops)
        self._step = kernels.lanes() if layout is Layout.LANES else 1
        self._layout = layout
        self._threads = threads
        images = _PART_BYTES // (8 * max(self._floats)) // self._step
        self._largest = max(images, 1) * self._step
        # Packed for more images than a part has, lanes would run empty beside them.
        tuned = min(self._largest, _TUNED) if layout is Layout.LANES else 1
        try:
            self._ops = kernels.array_of([_op(row, weights, tuned) for row in ops])
        except ValueError as error:
            raise _unsound(name, str(error)) from None
        self._scratch = kernels.scratch_bytes(self._ops, threads)
        self._free: dict[int, list[_Workspace]] = {}

    def run(self, inputs: Floats, outputs: Floats) -> None:
        batch = len(inputs)
        part = self._part(batch)
        free = self._free.get(part or batch)
        if free is None:
            while len(self._free) >= _KEPT_SIZES:
                self._free.pop(next(iter(self._free)), None)
            free = self._free.setdefault(part or batch, [])
        # Other threads take from the same list: popping is atomic, looking first is not.
        try:
            work = free.pop()
        except IndexError:
            work = self._workspace(part, batch)
        for place, array in enumerate((inputs, outputs)):
            work.buffers[place] = Buffer(array.ctypes.data, array.size, 0)
        work.task.batch = batch
        kernels.run(work.task)
        free.append(work)

    def _part(self, batch: int) -> int:
        """Images that a thread takes through all the ops at once; 0: too few to cut up."""
        if self._threads > 1 and batch < self._threads * self._step:
            return 0
        most = min(self._largest, -(-batch // self._threads))
        return -(-most // self._step) * self._step

    def _workspace(self, part: int, batch: int) -> _Workspace:
        images = part or batch
        arrays, places = [], [(0, 0, 0), (0, 0, 0)]
        for floats in self._floats[2:]:
            one = floats * (-(-images // self._step) * self._step)
            step = -(-one // _CACHE_LINE) * _CACHE_LINE if part else 0
            arrays.append(aligned(step * self._threads or one))
            places.append((arrays[-1].ctypes.data, arrays[-1].size, step))
        buffers = kernels.buffers_of(places)
        scratch = aligned(self._scratch, np.uint8)
        task = kernels.task(
            self._ops, buffers, scratch, batch=batch, threads=self._threads, part=part
        )
        return _Workspace(task, buffers, (arrays,))


def _op(row: Any, weights: Sequence[StoredWeight], batch: int) -> Op:
    shape, kind = Shape(*map(int, row["shape"])), OpKind(int(row["kind"]))
    before, after = Layout(int(row["in_layout"])), Layout(int(row["out_layout"]))
    pack: Pack | Floats | None = None
    if row["weight"] >= 0:
        weight = weights[int(row["weight"])]
        pack = weight.values
        if kind in (OpKind.LINEAR, OpKind.CONV2D):
            layer = KernelLayer(kind, before, after, 0, batch, shape)
            pack = pack_layer(
                layer, _rows(weight, shape), weight.bias if weight.bias.size else None
            )
    return kernels.op(
        kind,
        shape,
        input=int(row["input"]),
        other=int(row["other"]),
        output=int(row["output"]),
        in_layout=before,
        out_layout=after,
        flags=Flag(int(row["flags"])),
        pack=pack,
    )


def _rows(weight: StoredWeight, shape: Shape) -> Floats:
    """A weight by its outputs, all of it there: the kernels take its size on trust."""
    kernel = int(shape.kernel_height) * int(shape.kernel_width)
    return weight.values.reshape(shape.out_channels, int(shape.in_channels) * kernel)


def _unsound(name: str, why: str) -> ArtifactError:
    return ArtifactError(
        _OPERATION,
        name,
        given=f"with an op that cannot be ({why:.200})",
        expected="a sound plan file",
        remedy="Write the package again with `secateur package`.",
    )
