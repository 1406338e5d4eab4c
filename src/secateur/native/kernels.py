"""Pack weights and run ops: the C interface in numpy's terms, with errors instead of codes.

Import torch before the first call if threads are wanted: the kernels run on its OpenMP runtime.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secateur.errors import KernelError
from secateur.native.library import available as available
from secateur.native.library import library
from secateur.native.library import why_not as why_not
from secateur.native.structs import (
    Algorithm,
    Buffer,
    Call,
    Flag,
    Kind,
    Layer,
    Layout,
    Op,
    PackInfo,
    Shape,
    Status,
    shape,
)

Floats = NDArray[np.float32]
_ALIGNMENT = 64
_EXPECTED = {
    Status.BAD_ARGUMENT: "sizes, layouts and indices that fit together",
    Status.BAD_PACK: "an intact pack of this layer, made for the instruction set in use",
    Status.SMALL_BUFFER: "buffers as large as the ops need",
    Status.CALL_FAILED: "a callback that returns 0",
}


def isa() -> str:
    """The instruction set in use: `portable`, `neon`, `avx2` or `avx512`."""
    name: bytes = library().secateur_isa()
    return name.decode()


def isas() -> list[str]:
    """The instruction sets that this machine and build can run."""
    names = ("portable", "neon", "avx2", "avx512")
    return [name for name in names if library().secateur_has_isa(name.encode())]


def use_isa(name: str) -> None:
    """Run on another instruction set from now on; packs made before cannot be run any more."""
    _check(library().secateur_use_isa(name.encode()), "choosing an instruction set", repr(name))


def lanes() -> int:
    """Images side by side in a tile of `Layout.LANES`."""
    return int(library().secateur_lanes())


def lane_floats(features: int, batch: int) -> int:
    """Floats of a buffer in `Layout.LANES`."""
    width = lanes()
    return -(-batch // width) * width * features


def aligned(count: int, dtype: type = np.float32) -> NDArray[Any]:
    """A zeroed array of `count` numbers that begins on a cache line."""
    size = np.dtype(dtype).itemsize * count
    raw = np.zeros(size + _ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype)


@dataclass(frozen=True)
class Pack:
    """A packed layer: a blob for `Op.pack`, and what it holds."""

    blob: NDArray[np.uint8]
    info: PackInfo

    @property
    def address(self) -> int:
        """For `Op.pack`."""
        return int(self.blob.ctypes.data)

    @property
    def nbytes(self) -> int:
        """For `Op.pack_bytes`."""
        return int(self.blob.nbytes)


def pack_linear(
    weight: Floats,
    bias: Floats | None = None,
    *,
    batch: int = 1,
    in_layout: Layout = Layout.PLAIN,
    out_layout: Layout = Layout.PLAIN,
    algorithm: Algorithm = Algorithm.AUTO,
) -> Pack:
    """Pack the weight `[out, in]` of a linear layer.

    Args:
        weight: Dense; its zeros are dropped.
        bias: `[out]`.
        batch: The batch size to tune for. The pack is right for any.
        in_layout: How its input will lie.
        out_layout: How its output shall lie.
        algorithm: Chosen by a cost model if not given.

    Raises:
        KernelError: Shapes that do not fit, or there are no kernels here.

    Example:
        >>> pack = pack_linear(np.eye(3, 4, dtype=np.float32))
        >>> pack.info.nonzeros
        3
    """
    rows, columns = weight.shape
    geometry = shape((columns, 1, 1), (rows, 1, 1))
    layer = Layer(Kind.LINEAR, in_layout, out_layout, algorithm, batch, geometry)
    return _pack(layer, weight, bias)


def pack_conv2d(
    weight: Floats,
    bias: Floats | None = None,
    *,
    height: int,
    width: int,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] | tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    batch: int = 1,
    in_layout: Layout = Layout.PLAIN,
    out_layout: Layout = Layout.PLAIN,
    algorithm: Algorithm = Algorithm.AUTO,
) -> Pack:
    """Pack the weight `[out, in, kernel_height, kernel_width]` of a convolution, groups=1.

    Args:
        weight: Dense; its zeros are dropped.
        bias: `[out]`.
        height: Of the input. A pack is made for one size of input.
        width: Of the input.
        stride: Down, right.
        padding: (rows, columns) on both sides, or (top, bottom, left, right).
        dilation: Down, right.
        batch: The batch size to tune for. The pack is right for any.
        in_layout: How its input will lie.
        out_layout: How its output shall lie.
        algorithm: Chosen by a cost model if not given.

    Raises:
        KernelError: Shapes that do not fit, or there are no kernels here.

    Example:
        >>> weight = np.zeros((2, 3, 3, 3), dtype=np.float32)
        >>> pack = pack_conv2d(weight, height=8, width=8, padding=(1, 1), stride=(2, 2))
        >>> pack.info.shape.out_height, pack.info.nonzeros
        (4, 0)
    """
    out_channels, in_channels, *kernel = weight.shape
    if len(padding) == 2:
        top, left = bottom, right = padding
    else:
        top, bottom, left, right = padding
    outputs = [
        (size + before + after - reach * (taps - 1) - 1) // max(step, 1) + 1
        for size, before, after, taps, reach, step in zip(
            (height, width), (top, left), (bottom, right), kernel, dilation, stride, strict=True
        )
    ]
    geometry = shape(
        (in_channels, height, width),
        (out_channels, outputs[0], outputs[1]),
        kernel=(kernel[0], kernel[1]),
        stride=stride,
        padding=(top, left),
        dilation=dilation,
    )
    layer = Layer(Kind.CONV2D, in_layout, out_layout, algorithm, batch, geometry)
    return _pack(layer, weight, bias)


def _pack(layer: Layer, weight: Floats, bias: Floats | None) -> Pack:
    operation = f"packing a {Kind(layer.kind).name.lower()} layer"
    weight = np.ascontiguousarray(weight, dtype=np.float32)
    bias = None if bias is None else np.ascontiguousarray(bias, dtype=np.float32)
    if bias is not None and bias.shape != weight.shape[:1]:
        raise KernelError(
            operation,
            "the bias",
            given=f"of shape {list(bias.shape)}",
            expected=f"[{weight.shape[0]}]",
            remedy="Give one number for each output.",
        )
    needed = library().secateur_pack_bytes(ctypes.byref(layer), weight.ctypes.data)
    _check(-min(needed, 0), operation, "the layer")
    blob = aligned(needed, np.uint8)
    address = None if bias is None else bias.ctypes.data
    status = library().secateur_pack(
        ctypes.byref(layer), weight.ctypes.data, address, blob.ctypes.data, blob.nbytes
    )
    _check(status, operation, "the layer")
    blob.flags.writeable = False
    return Pack(blob, inspect(blob))


def inspect(blob: NDArray[np.uint8]) -> PackInfo:
    """What a pack holds, every index in it checked.

    Raises:
        KernelError: It is damaged, or made for another instruction set.
    """
    info = PackInfo()
    status = library().secateur_inspect(blob.ctypes.data, blob.nbytes, ctypes.byref(info))
    _check(status, "reading a pack", "the pack")
    return info


def op(
    kind: Kind,
    geometry: Shape,
    *,
    input: int = 0,  # noqa: A002
    output: int = 1,
    other: int = -1,
    in_layout: Layout = Layout.PLAIN,
    out_layout: Layout = Layout.PLAIN,
    flags: Flag = Flag.NONE,
    pack: Pack | Floats | None = None,
    call: Callable[..., int] | None = None,
) -> Op:
    """One op. A pack gives its own shape and layouts through `op_of`.

    The result keeps what it points to (pack, callback) alive.
    """
    address, nbytes = None, 0
    if isinstance(pack, Pack):
        address, nbytes = pack.address, pack.nbytes
    elif pack is not None:
        address, nbytes = pack.ctypes.data, pack.nbytes
    callback = Call(call) if call is not None else Call()
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
        callback,
        None,
    )
    made.held = (pack, callback)
    return made


def op_of(pack: Pack, *, input: int = 0, output: int = 1, relu: bool = False) -> Op:  # noqa: A002
    """The op that runs a pack, with its shape and layouts."""
    info = pack.info
    return op(
        Kind(info.kind),
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


def scratch_bytes(ops: ctypes.Array[Op], batch: int, threads: int) -> int:
    """Bytes of scratch memory that `run` needs.

    Raises:
        KernelError: The ops do not fit together.
    """
    needed = library().secateur_scratch_bytes(ops, len(ops), batch, threads)
    _check(-min(needed, 0), "planning the scratch memory", "the plan")
    return int(needed)


def buffers_of(arrays: Sequence[NDArray[Any] | tuple[int, int]]) -> ctypes.Array[Buffer]:
    """Buffers from C-contiguous fp32 arrays, or from pairs (address, floats).

    The caller keeps the arrays alive while the buffers are in use.
    """
    pairs = [
        (item.ctypes.data, item.size) if isinstance(item, np.ndarray) else item for item in arrays
    ]
    return (Buffer * len(pairs))(*(Buffer(*pair) for pair in pairs))


def prepare(
    ops: ctypes.Array[Op],
    buffers: ctypes.Array[Buffer],
    scratch: NDArray[np.uint8],
    *,
    batch: int,
    threads: int,
) -> Callable[[], None]:
    """The call of `run` with everything worked out before: a microsecond or two of Python is left.

    The same arguments and errors. What it returns keeps ops, buffers and scratch alive, not the
    arrays that the buffers point to.

    Example:
        >>> x, y = np.float32([-1, 2]), np.zeros(2, dtype=np.float32)
        >>> relu = array_of([op(Kind.RELU, shape((2, 1, 1), (2, 1, 1)))])
        >>> prepare(relu, buffers_of([x, y]), aligned(64, np.uint8), batch=1, threads=1)()
        >>> y.tolist()
        [0.0, 2.0]
    """
    function = library().secateur_run
    failed = ctypes.c_int32(-1)
    arguments = (
        ops,
        len(ops),
        buffers,
        len(buffers),
        ctypes.c_void_p(scratch.ctypes.data),
        scratch.nbytes,
        batch,
        threads,
        ctypes.byref(failed),
    )

    def call(_held: object = scratch) -> None:
        status = function(*arguments)
        if status:
            _check(status, "running the sparse kernels", f"op {failed.value}")

    return call


def run(
    ops: ctypes.Array[Op],
    buffers: ctypes.Array[Buffer],
    scratch: NDArray[np.uint8],
    *,
    batch: int,
    threads: int,
) -> None:
    """Run the ops in order, without the GIL and without allocating.

    Args:
        ops: From `array_of`.
        buffers: From `buffers_of`; the ops name them by index.
        scratch: At least `scratch_bytes(ops, batch, threads)`, of this call alone.
        batch: Images.
        threads: At most so many.

    Raises:
        KernelError: Something does not fit; nothing has been run then.
    """
    prepare(ops, buffers, scratch, batch=batch, threads=threads)()


def _check(status: int, operation: str, subject: str) -> None:
    if status:
        code = Status(status)
        raise KernelError(
            operation,
            subject,
            given=code.name.lower().replace("_", " "),
            expected=_EXPECTED[code],
            remedy="See src/secateur/native/secateur.h.",
        )
