"""Memory: on a cache line, zeroed, and no further than asked for."""

from __future__ import annotations

import numpy as np
import pytest

from secateur.runtime.kernels.memory import ALIGNMENT, aligned


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 3, 16, 1001])
def test_every_array_begins_on_a_cache_line(dtype: type, count: int) -> None:
    held = [aligned(count, dtype) for _ in range(16)]  # held, so that they lie in 16 places
    assert {array.ctypes.data % ALIGNMENT for array in held} == {0}
    assert {(array.shape, array.dtype) for array in held} == {((count,), np.dtype(dtype))}


def test_memory_that_was_used_before_is_zeroed() -> None:
    for _ in range(16):
        array = aligned(50)
        assert not array.any()
        array[:] = 1.0


def test_nothing_is_an_array_too() -> None:
    assert aligned(0).shape == (0,)


def test_numbers_are_floats_where_nothing_else_is_said() -> None:
    assert aligned(2).dtype == np.float32


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_all_of_it_lies_in_memory_of_its_own(count: int) -> None:
    array = aligned(count)
    owner = array
    while owner.base is not None:
        owner = owner.base
    begin, end = owner.ctypes.data, owner.ctypes.data + owner.nbytes
    assert begin <= array.ctypes.data
    assert array.ctypes.data + array.nbytes <= end
