from __future__ import annotations

import pytest
import torch

from secateur.runtime.layers.axis import ConvAxis
from secateur.runtime.layers.conv_geometry import Window
from secateur.runtime.layers.masked_weight import FrozenWeight

WINDOW = Window(4, ConvAxis(6, 3, 1, 1, 1, 1), ConvAxis(6, 3, 2, 1, 1, 1))
LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_are_read_and_written_where_they_are(layout: torch.memory_format) -> None:
    weight = torch.randn(5, 4, 3, 3).contiguous(memory_format=layout)
    mask = torch.rand_like(weight) > 0.7
    frozen = FrozenWeight(mask, weight, WINDOW)
    values = frozen.values(weight)
    assert torch.equal(values, weight[mask])
    dense = frozen.dense(values)
    assert dense.stride() == weight.stride()
    assert torch.equal(dense, weight * mask)
    assert sorted(frozen.transposed(values).tolist()) == sorted(values.tolist())
    assert len(frozen.backward.indices) == len(frozen.forward.indices) == len(values)


def test_it_knows_another_layout() -> None:
    weight = torch.randn(5, 4, 3, 3)
    frozen = FrozenWeight(weight > 0, weight, WINDOW)
    assert frozen.fits(weight.clone())
    assert not frozen.fits(weight.contiguous(memory_format=torch.channels_last))


def test_a_kept_weight_that_is_zero_is_still_there() -> None:
    weight = torch.zeros(3, 2)
    mask = torch.tensor([[True, False], [False, False], [True, True]])
    frozen = FrozenWeight(mask, weight, Window(2))
    assert frozen.forward.indptr.tolist() == [0, 1, 1, 3]
    assert frozen.backward.indptr.tolist() == [0, 2, 3]
    assert frozen.forward.indices.tolist() == [0, 0, 1]
    assert frozen.backward.indices.tolist() == [0, 2, 2]
