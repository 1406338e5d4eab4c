from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from secateur.runtime.layers.weights import compress, restore


@given(st.lists(st.integers(0, 4), max_size=3), st.integers(0, 99))
def test_a_weight_comes_back_bit_for_bit(size: list[int], seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(size, generator=random) * (torch.rand(size, generator=random) > 0.5)
    values, positions = compress(weight)
    assert values.numel() == positions.numel() == int((weight != 0).sum())
    assert torch.equal(restore(values, positions, size), weight)


def test_the_gradient_reaches_the_values_only() -> None:
    values, positions = compress(torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
    values.requires_grad_()
    (
        restore(values, positions, [2, 2]) * torch.tensor([[1.0, 10.0], [100.0, 1.0]])
    ).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [10.0, 100.0]
