"""Tensors as bits and back: every type, every order of memory."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from secateur.artifact.container import ITEM_SIZES
from secateur.artifact.tensors import (
    DTYPES,
    are_strides_of,
    as_bytes,
    bits,
    count_zeros,
    empty,
    laid_out,
    strides_to_keep,
)


@pytest.mark.parametrize("name", DTYPES)
def test_every_type_comes_back_bit_by_bit(name: str) -> None:
    size = DTYPES[name].itemsize
    assert ITEM_SIZES[name] == size
    memory = torch.arange(24 * size, dtype=torch.uint8)
    memory = memory % 2 if name == "BOOL" else memory
    tensor = memory.view(DTYPES[name]).reshape(2, 3, 4)
    made, words = empty(name, (2, 3, 4))
    words[:] = bits(tensor)
    assert made.dtype == tensor.dtype
    assert bytes(as_bytes(bits(made))) == memory.numpy().tobytes()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_a_scalar_and_nothing_at_all(shape: tuple[int, ...]) -> None:
    made, words = empty("F32", shape)
    assert made.shape == shape
    assert words.size == bits(made).size == math.prod(shape)
    assert len(as_bytes(words)) == 4 * words.size


def test_a_tensor_row_by_row_is_not_copied() -> None:
    tensor = torch.zeros(3)
    bits(tensor)[1] = 0x3F800000
    assert tensor.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("name", "zeros"),
    [("F32", 2), ("F16", 2), ("BF16", 2), ("F64", 2), ("F8_E4M3", 2), ("F8_E4M3FNUZ", 1)],
)
def test_minus_zero_is_a_zero_where_there_is_one(name: str, zeros: int) -> None:
    tensor = torch.tensor([0.0, 1.0, 2.0]).to(DTYPES[name])
    words = bits(tensor).copy()
    words[2] = 1 << (8 * words.itemsize - 1)
    assert count_zeros(name, words) == zeros


def test_a_complex_zero_has_two_signs() -> None:
    values = torch.tensor([complex(0, -0.0), complex(-0.0, 0), 1j, 1], dtype=torch.complex64)
    assert count_zeros("C64", bits(values)) == 2


def test_integers_have_no_sign_of_zero() -> None:
    assert count_zeros("I8", bits(torch.tensor([0, -128], dtype=torch.int8))) == 1


@given(st.permutations(range(4)), st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_every_order_of_axes_is_kept(order: list[int], shape: list[int]) -> None:
    tensor = torch.rand(shape).permute(order)
    strides = strides_to_keep(tensor)
    back = laid_out(tensor.contiguous(), strides)
    assert torch.equal(back, tensor)
    assert strides is None or back.stride() == tensor.stride()


def test_views_with_holes_or_repeats_are_stored_row_by_row() -> None:
    assert strides_to_keep(torch.rand(4, 4)[:, ::2]) is None
    assert strides_to_keep(torch.rand(4, 1).expand(4, 4)) is None


@pytest.mark.parametrize(
    ("shape", "strides", "fits"),
    [
        ((2, 3), (3, 1), True),
        ((2, 3), (1, 2), True),
        ((2, 2), (1, 1), False),
        ((2, 3), (0, 1), False),
        ((2, 3), (4, 1), False),
        ((2,), (1, 1), False),
        ((1, 3), (2**40, 1), False),
        ((), (), True),
    ],
)
def test_strides_that_give_every_element_its_place(
    shape: tuple[int, ...], strides: tuple[int, ...], fits: bool
) -> None:
    assert are_strides_of(shape, strides) is fits
