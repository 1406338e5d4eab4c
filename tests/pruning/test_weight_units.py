from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secateur.pruning.weight_matrix import WeightMatrix
from secateur.pruning.weight_units import units_of


def layout(outputs: int, inputs: int, kernel: int = 1, groups: int = 1) -> WeightMatrix:
    shape = torch.Size([groups * outputs, inputs, kernel])
    return WeightMatrix(shape, groups, outputs, inputs, kernel)


def test_blocks_by_hand() -> None:
    weight = torch.arange(24.0).reshape(4, 6, 1)
    units = units_of(layout(4, 6), "2x3")
    assert units.rows(weight).int().tolist() == [
        [0, 1, 2, 6, 7, 8],
        [3, 4, 5, 9, 10, 11],
        [12, 13, 14, 18, 19, 20],
        [15, 16, 17, 21, 22, 23],
    ]
    assert units.sizes == 6
    mask = units.spread(torch.tensor([True, False, False, True])).squeeze(2)
    assert mask.int().tolist() == [[1, 1, 1, 0, 0, 0]] * 2 + [[0, 0, 0, 1, 1, 1]] * 2


def test_the_last_blocks_are_smaller_where_the_matrix_is_no_multiple() -> None:
    units = units_of(layout(3, 5), "2x4")
    assert torch.as_tensor(units.sizes).tolist() == [8, 2, 4, 1]
    assert units.rows(torch.ones(3, 5, 1)).sum(dim=1).tolist() == [8.0, 2.0, 4.0, 1.0]
    last = units.spread(torch.tensor([False, False, False, True])).squeeze(2)
    assert torch.nonzero(last).tolist() == [[2, 4]]


def test_a_kernel_is_what_a_filter_reads_of_one_channel() -> None:
    units = units_of(layout(2, 3, kernel=4), "kernel")
    weight = torch.arange(24.0).reshape(2, 3, 4)
    assert units.rows(weight)[4].tolist() == [16.0, 17.0, 18.0, 19.0]
    assert units.sizes == 4
    assert units.spread(torch.arange(6) == 4)[1, 1].all()


def test_blocks_stay_within_the_groups_of_a_convolution() -> None:
    units = units_of(layout(1, 2, kernel=2, groups=3), "4x4")
    assert torch.as_tensor(units.sizes).tolist() == [4, 4, 4]


@pytest.mark.parametrize("word", ["weight", "2:4", "1x3", "kernel"])
def test_units_of_one_output_are_found_by_their_output(word: str) -> None:
    units = units_of(layout(2, 3, kernel=2, groups=2), word)
    rows = torch.arange(4.0).reshape(4, 1, 1).expand(4, 3, 2)
    scores = units.rows(rows).amax(dim=1)
    by_output = units.by_output(scores)
    assert (by_output == torch.arange(4.0).unsqueeze(1)).all()
    assert torch.equal(units.from_outputs(by_output), scores)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3), st.integers(0, 6), st.integers(1, 6), st.integers(1, 3),
    st.integers(1, 5), st.integers(1, 5), st.booleans(),
)  # fmt: skip
def test_every_weight_is_in_one_unit(
    groups: int, outputs: int, inputs: int, kernel: int, height: int, width: int, by_kernel: bool
) -> None:
    matrix = layout(outputs, inputs, kernel, groups)
    units = units_of(matrix, "kernel" if by_kernel else f"{height}x{width}")
    numbers = torch.arange(1, 1 + matrix.shape.numel()).reshape(matrix.shape)
    rows = units.rows(numbers)
    held = (rows > 0).sum(dim=1)
    assert sorted(rows[rows > 0].tolist()) == list(range(1, 1 + numbers.numel()))
    assert torch.equal(held, torch.as_tensor(units.sizes).expand(held.shape))
    for unit in range(len(rows)):
        own = numbers[units.spread(torch.arange(len(rows)) == unit)]
        assert sorted(own.tolist()) == sorted(rows[unit][rows[unit] > 0].tolist())
