"""Pack weights: from dense weights, most of them zero, to what the native kernels read."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secateur.errors import KernelError
from secateur.runtime.kernels.library import check, library
from secateur.runtime.kernels.memory import Floats, aligned
from secateur.runtime.kernels.structs import Algorithm, KernelLayer, Layout, OpKind, PackInfo, shape


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
    layer = KernelLayer(OpKind.LINEAR, in_layout, out_layout, algorithm, batch, geometry)
    return pack_layer(layer, weight, bias)


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
        stride: (h, w).
        padding: (rows, columns) on both sides, or (top, bottom, left, right).
        dilation: (h, w).
        batch: As for `pack_linear`.
        in_layout: As for `pack_linear`.
        out_layout: As for `pack_linear`.
        algorithm: As for `pack_linear`.

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
        (size + before + after - reach * (kernel - 1) - 1) // max(step, 1) + 1
        for size, before, after, kernel, reach, step in zip(
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
    layer = KernelLayer(OpKind.CONV2D, in_layout, out_layout, algorithm, batch, geometry)
    return pack_layer(layer, weight, bias)


def pack_layer(layer: KernelLayer, weight: Floats, bias: Floats | None) -> Pack:
    """Pack what has its geometry already.

    Args:
        layer: The geometry, and how the layer will be run.
        weight: Dense, by outputs: `[out, ...]`, as many elements as the geometry says.
        bias: `[out]`.

    Raises:
        KernelError: Shapes that do not fit, or there are no kernels here.
    """
    operation = f"packing a {OpKind(layer.kind).name.lower()} layer"
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
    check(-min(needed, 0), operation, "the layer")
    blob = aligned(needed, np.uint8)
    address = None if bias is None else bias.ctypes.data
    status = library().secateur_pack(
        ctypes.byref(layer), weight.ctypes.data, address, blob.ctypes.data, blob.nbytes
    )
    check(status, operation, "the layer")
    blob.flags.writeable = False
    return Pack(blob, inspect(blob))


def inspect(blob: NDArray[np.uint8]) -> PackInfo:
    """What a pack holds, every index in it checked.

    Raises:
        KernelError: It is damaged, or made for another instruction set.
    """
    info = PackInfo()
    status = library().secateur_inspect(blob.ctypes.data, blob.nbytes, ctypes.byref(info))
    check(status, "reading a pack", "the pack")
    return info
