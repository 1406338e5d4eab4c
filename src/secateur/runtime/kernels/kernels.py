"""Run ops: the C interface in numpy's terms, with errors instead of codes.

The kernels run on torch's OpenMP runtime; without torch, on the calling thread alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secateur.runtime.kernels.library import available as available
from secateur.runtime.kernels.library import check, isas_of, library, openmp, switch
from secateur.runtime.kernels.library import why_not as why_not
from secateur.runtime.kernels.memory import Floats
from secateur.runtime.kernels.packs import Pack
from secateur.runtime.kernels.structs import Buffer, Flag, Layout, Op, OpKind, Shape, Task


def isa() -> str:
    """The instruction set in use: `portable`, `neon`, `avx2` or `avx512`."""
    name: bytes = library().secateur_isa()
    return name.decode()


def isas() -> list[str]:
    """The instruction sets that this machine and build can run."""
    return isas_of(library())


def use_isa(name: str) -> None:
    """Run on another instruction set from now on; packs made before cannot be run any more.

    Raises:
        UnknownNameError: It is no instruction set.
        DeviceError: This CPU has not got it.

    Example:
        >>> before = isa()
        >>> use_isa("portable")
        >>> use_isa(before)
    """
    switch(library(), name, "use_isa")


def lanes() -> int:
    """Images side by side in a tile of `Layout.LANES`."""
    return int(library().secateur_lanes())


def lane_floats(features: int, batch: int) -> int:
    """Floats of a buffer in `Layout.LANES`."""
    width = lanes()
    return -(-batch // width) * width * features


def op(
    kind: OpKind,
    geometry: Shape,
    *,
    input: int = 0,  # noqa: A002
    output: int = 1,
    other: int = -1,
    in_layout: Layout = Layout.PLAIN,
    out_layout: Layout = Layout.PLAIN,
    flags: Flag = Flag.NONE,
    pack: Pack | Floats | None = None,
) -> Op:
    """One op. A pack gives its own shape and layouts through `op_of`.

    The result keeps the pack alive.
    """
    address, nbytes = None, 0
    if isinstance(pack, Pack):
        address, nbytes = pack.address, pack.nbytes
    elif pack is not None:
        address, nbytes = pack.ctypes.data, pack.nbytes
    made = Op(
        kind,
        flags,
        in_layout,
        out_layout,
        input,
        other,
        output,
        0,
        geometry,
        address,
        nbytes,
    )
    made.held = pack
    return made


def op_of(pack: Pack, *, input: int = 0, output: int = 1, relu: bool = False) -> Op:  # noqa: A002
    """The op that runs a pack, with its shape and layouts."""
    info = pack.info
    return op(
        OpKind(info.kind),
        info.shape,
        input=input,
        output=output,
        in_layout=Layout(info.in_layout),
        out_layout=Layout(info.out_layout),
        flags=Flag.FUSE_RELU if relu else Flag.NONE,
        pack=pack,
    )


def array_of(ops: Sequence[Op]) -> ctypes.Array[Op]:
    """The ops as the C array that `run` takes: make it once, run it often."""
    array = (Op * len(ops))(*ops)
    array.held = list(ops)  # type: ignore[attr-defined]
    return array


def scratch_bytes(ops: ctypes.Array[Op], threads: int) -> int:
    """Bytes of scratch memory that `run` needs.

    Raises:
        KernelError: The ops do not fit together.
    """
    openmp()
    needed = library().secateur_scratch_bytes(ops, len(ops), threads)
    check(-min(needed, 0), "planning the scratch memory", "the plan")
    return int(needed)


def buffers_of(arrays: Sequence[NDArray[Any] | tuple[int, ...]]) -> ctypes.Array[Buffer]:
    """Buffers from C-contiguous fp32 arrays, or from tuples (address, floats[, step]).

    The caller keeps the arrays alive while the buffers are in use. With a step, the buffer holds
    one part for each thread, so many floats apart.
    """
    fields = [
        (item.ctypes.data, item.size) if isinstance(item, np.ndarray) else item for item in arrays
    ]
    return (Buffer * len(fields))(*(Buffer(*each) for each in fields))


def task(
    ops: ctypes.Array[Op],
    buffers: ctypes.Array[Buffer],
    scratch: NDArray[np.uint8],
    *,
    batch: int,
    threads: int,
    part: int = 0,
) -> Task:
    """What `run` takes: make it once, run it often, with another batch or other buffers if need be.

    Args:
        ops: From `array_of`.
        buffers: From `buffers_of`; the ops name them by index.
        scratch: At least `scratch_bytes(ops, threads)`, of one call at a time.
        batch: Images.
        threads: At most so many.
        part: Images that one thread takes through all the ops; 0: the threads share each op.

    Returns:
        The task. It keeps ops, buffers and scratch alive, not what the buffers point to.

    Example:
        >>> from secateur.runtime.kernels.memory import aligned
        >>> from secateur.runtime.kernels.structs import shape
        >>> x, y = np.float32([-1, 2]), np.zeros(2, dtype=np.float32)
        >>> relu = array_of([op(OpKind.RELU, shape((2, 1, 1), (2, 1, 1)))])
        >>> run(task(relu, buffers_of([x, y]), aligned(64, np.uint8), batch=1, threads=1))
        >>> y.tolist()
        [0.0, 2.0]
    """
    made = Task(
        ops,
        buffers,
        scratch.ctypes.data,
        scratch.nbytes,
        batch,
        part,
        len(ops),
        len(buffers),
        threads,
        -1,
    )
    made.held = (ops, buffers, scratch)
    return made


def run(task: Task) -> None:
    """Run the ops in order, without the GIL and without allocating.

    Raises:
        KernelError: Something does not fit; nothing has been run then.
    """
    status = library().secateur_run(task)
    if status:
        check(status, "running the sparse kernels", f"op {task.failed}")
