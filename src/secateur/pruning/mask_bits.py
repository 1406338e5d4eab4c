"""Mask bits: a mask as text, one bit an element, and back."""

from __future__ import annotations

import base64
import math
import zlib

import numpy as np
import torch
from torch import Tensor


def packed(mask: Tensor) -> str:
    """A mask as text.

    Example:
        >>> unpacked(packed(torch.tensor([[True, False]])), [1, 2]).tolist()
        [[True, False]]
    """
    bits = np.packbits(mask.cpu().numpy().reshape(-1))
    return base64.b85encode(zlib.compress(bits.tobytes(), level=6)).decode()


def unpacked(text: str, shape: list[int]) -> Tensor:
    """A mask, decompressed no further than its shape says.

    Raises:
        ValueError: The text holds another number of elements.
    """
    count = math.prod(shape)
    size = (count + 7) // 8
    found = zlib.decompressobj().decompress(base64.b85decode(text), max(size, 0) + 1)
    if len(found) != size:
        raise ValueError(f"a mask of another shape than {shape}")
    bits = np.unpackbits(np.frombuffer(found, dtype=np.uint8), count=count)
    return torch.from_numpy(bits.astype(bool)).reshape(shape)
