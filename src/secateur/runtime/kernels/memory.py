"""Memory for the kernels: arrays that begin on a cache line."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
ALIGNMENT = 64


def aligned(count: int, dtype: type = np.float32) -> NDArray[Any]:
    """A zeroed array of `count` numbers that begins on a cache line."""
    size = np.dtype(dtype).itemsize * count
    raw = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype)
