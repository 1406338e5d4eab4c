"""Running one op on images, the lane layout in numpy, and weights with zeros."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from secateur.runtime.kernels import kernels, memory
from secateur.runtime.kernels.structs import Layout, Op

Floats = NDArray[np.float32]


def weight_of(size: tuple[int, ...], sparsity: float, seed: int) -> torch.Tensor:
    """Normal numbers, a share of them zero."""
    random = torch.Generator().manual_seed(seed)
    kept = torch.rand(size, generator=random) >= sparsity
    return torch.randn(size, generator=random) * kept


def lay_out(x: Floats, layout: Layout) -> Floats:
    """Images `[batch, ...]` in a layout, flat. Lanes without an image hold NaN."""
    batch = len(x)
    if layout is Layout.PLAIN:
        return np.ascontiguousarray(x).reshape(-1)
    features, lanes = x[0].size, kernels.lanes()
    padded = np.full((-(-batch // lanes) * lanes, features), np.nan, dtype=np.float32)
    padded[:batch] = x.reshape(batch, features)
    tiles = padded.reshape(-1, lanes, features).transpose(0, 2, 1)
    return np.ascontiguousarray(tiles).reshape(-1)


def read_out(y: Floats, layout: Layout, batch: int, shape: tuple[int, ...]) -> Floats:
    """The reverse of `lay_out`."""
    if layout is Layout.LANES:
        tiles = y.reshape(-1, int(np.prod(shape)), kernels.lanes()).transpose(0, 2, 1)
        y = tiles.reshape(-1, int(np.prod(shape)))[:batch]
    return y.reshape(batch, *shape)


def apply(op: Op, *inputs: Floats, threads: int = 1) -> Floats:
    """Run one op on images; the output's guard numbers must survive."""
    batch, shape = len(inputs[0]), op.shape
    before, after = Layout(op.in_layout), Layout(op.out_layout)
    outputs = (shape.out_channels, shape.out_height, shape.out_width)
    count = int(np.prod(outputs))
    floats = kernels.lane_floats(count, batch) if after is Layout.LANES else batch * count
    guarded = np.full(floats + 32, 1234.5, dtype=np.float32)
    output = guarded[16:-16]
    ops = kernels.array_of([op])
    scratch = memory.aligned(kernels.scratch_bytes(ops, threads), np.uint8)
    arrays = [lay_out(inputs[0], before), output, *(lay_out(x, before) for x in inputs[1:])]
    kernels.run(
        kernels.task(ops, kernels.buffers_of(arrays), scratch, batch=batch, threads=threads)
    )
    assert (guarded[:16] == 1234.5).all()
    assert (guarded[-16:] == 1234.5).all()
    return read_out(output, after, batch, outputs)
