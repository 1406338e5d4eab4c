"""Tensors as bytes and back, bit by bit, whatever their type."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from secateur.artifact.coding import BLOCK, Words

DTYPES: dict[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "U16": torch.uint16,
    "I16": torch.int16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "F32": torch.float32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F64": torch.float64,
    "C64": torch.complex64,
}
"""The container's names for types, and torch's types."""

# Of the FNUZ types the lone sign bit is NaN.
_SIGNS = {
    "F8_E5M2": 1 << 7,
    "F8_E4M3": 1 << 7,
    "F16": 1 << 15,
    "BF16": 1 << 15,
    "F32": 1 << 31,
    "F64": 1 << 63,
    "C64": 1 << 63 | 1 << 31,
}

_CACHE_LINE = 64

NAMES = {dtype: name for name, dtype in DTYPES.items()}


def bits(tensor: Tensor) -> Words:
    """A tensor's memory, row by row, as unsigned integers of its element size: `[numel]`.

    A CPU tensor that lies row by row is not copied.

    Example:
        >>> bits(torch.tensor([0.0, -0.0, 1.0])).tolist()
        [0, 2147483648, 1065353216]
    """
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().view(f"<u{tensor.element_size()}")


def as_bytes(words: Words) -> memoryview:
    """The same memory, byte by byte."""
    return words.view(np.uint8).data


def count_zeros(dtype: str, words: Words) -> int:
    """How many elements compare equal to 0, as -0.0 does.

    Args:
        dtype: The container's name for the elements' type.
        words: Their bits.

    Example:
        >>> count_zeros("F32", bits(torch.tensor([0.0, -0.0, 1.0])))
        2
    """
    signs = _SIGNS.get(dtype, 0)
    magnitude = words.dtype.type(np.iinfo(words.dtype).max ^ signs)
    blocks = range(0, words.size, BLOCK)
    nonzero = sum(int(np.count_nonzero(words[at : at + BLOCK] & magnitude)) for at in blocks)
    return words.size - nonzero


def strides_to_keep(tensor: Tensor) -> list[int] | None:
    """The strides of a tensor that fills its memory in another order than row by row.

    The order decides which kernels run, so it is part of bit-identical outputs.

    Example:
        >>> strides_to_keep(torch.zeros(1, 2, 3, 3).to(memory_format=torch.channels_last))
        [18, 1, 6, 2]
        >>> strides_to_keep(torch.zeros(2, 3)) is None
        True
    """
    strides = list(tensor.stride())
    usual = list(torch.empty(tensor.shape, device="meta").stride())
    if strides == usual or not are_strides_of(tensor.shape, strides):
        return None
    return strides


def are_strides_of(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether strides put every element of a shape in a place of its own, without holes.

    Example:
        >>> are_strides_of((2, 3), (1, 2)), are_strides_of((2, 3), (0, 1))
        (True, False)
    """
    if len(shape) != len(strides):
        return False
    expected = 1
    for stride, size in sorted((a, b) for a, b in zip(strides, shape, strict=True) if b != 1):
        if stride != expected:
            return False
        expected *= size
    return all(stride <= max(expected, 1) for stride in strides)


def empty(dtype: str, shape: Sequence[int]) -> tuple[Tensor, Words]:
    """A tensor of zeros, and its memory as unsigned integers.

    It begins where torch's own begin, at a cache line: kernels may sum in another order
    elsewhere. Memory is taken page by page, when it is first written to.

    Example:
        >>> tensor, words = empty("F32", (2,))
        >>> words[1] = 0x3F800000
        >>> tensor, tensor.data_ptr() % 64
        (tensor([0., 1.]), 0)
    """
    kind = DTYPES[dtype]
    size = prod(shape) * kind.itemsize
    memory = np.zeros(size + _CACHE_LINE, dtype=np.uint8)
    first = -memory.ctypes.data % _CACHE_LINE
    memory = memory[first : first + size]
    return torch.from_numpy(memory).view(kind).reshape(tuple(shape)), memory.view(
        f"<u{kind.itemsize}"
    )


def laid_out(tensor: Tensor, strides: Sequence[int] | None) -> Tensor:
    """A tensor with other strides and the same elements."""
    if strides is None:
        return tensor
    return torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype).copy_(tensor)
