from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from secateur.errors import MaskError
from secateur.pruning.brain_surgeon import cut_columns, inverse_factor


def layer(seed: int, groups: int = 1, outputs: int = 5, inputs: int = 9) -> tuple[Tensor, Tensor]:
    """Weights, and moments of inputs that hang together."""
    torch.manual_seed(seed)
    mixed = torch.randn(groups, inputs, inputs, dtype=torch.float64)
    rows = torch.randn(groups, 40, inputs, dtype=torch.float64) @ mixed
    return (
        torch.randn(groups, outputs, inputs, dtype=torch.float64),
        rows.transpose(1, 2) @ rows / 40,
    )


def error(change: Tensor, moments: Tensor) -> Tensor:
    """The squared error of each output."""
    return ((change @ moments) * change).sum(2)


def test_the_factor_is_that_of_the_damped_inverse() -> None:
    _, moments = layer(0, groups=2)
    factor = inverse_factor("w", moments, 0.3)
    damped = moments.numpy() + 0.3 * np.einsum("gii->", moments.numpy()) / 18 * np.eye(9)
    assert torch.equal(factor, factor.triu())
    np.testing.assert_allclose((factor.mT @ factor).numpy(), np.linalg.inv(damped), atol=1e-9)


def test_inputs_that_are_zero_everywhere_are_no_division_by_zero() -> None:
    assert torch.equal(inverse_factor("w", torch.zeros(1, 2, 2), 0.01)[0], torch.eye(2).double())
    half = torch.tensor([[[4.0, 0.0], [0.0, 0.0]]])
    assert inverse_factor("w", half, 0.5)[0].diagonal().tolist() == [5**-0.5, 1.0]


def test_what_is_no_matrix_of_moments_is_named() -> None:
    with pytest.raises(MaskError, match=r"reconstructing: fc is a layer .* cannot be inverted"):
        inverse_factor("fc", torch.tensor([[[1.0, 3.0], [3.0, 1.0]]]), 0.01)


STEPS = ([1] * 9, [4, 4, 1], [3, 2, 3, 1], [9])


@given(st.integers(0, 999), st.integers(1, 3), st.sampled_from(STEPS), st.integers(1, 10))
@settings(max_examples=25, deadline=None)
def test_every_block_gives_the_optimal_surgery_column_by_column(
    seed: int, groups: int, steps: list[int], block: int
) -> None:
    """Of each output by itself: the inverse of the moments from column `j` on, at each cut."""
    weight, moments = layer(seed, groups)
    gone = torch.rand(weight.shape) < 0.5
    kept, left = cut_columns(
        weight,
        inverse_factor("w", moments, 0.01),
        lambda columns, start: gone[..., start : start + columns.shape[1]].mT,
        steps=steps,
        block=block,
    )
    assert torch.equal(kept, ~gone)
    scale = 0.01 * moments.diagonal(dim1=1, dim2=2).mean().item()
    for group in range(groups):
        damped = moments[group].numpy() + scale * np.eye(9)
        for output in range(5):
            row = weight[group, output].numpy().copy()
            for j in np.flatnonzero(gone[group, output].numpy()):
                inverse = np.linalg.inv(damped[j:, j:])
                row[j:] -= row[j] / inverse[0, 0] * inverse[0]
                row[j] = 0
            np.testing.assert_allclose(left[group, output].numpy(), row, atol=1e-8)


@given(st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_the_error_is_the_sum_of_what_each_cut_was_said_to_cost(seed: int) -> None:
    weight, moments = layer(seed)
    factor = inverse_factor("w", moments, 1e-9)
    said = torch.zeros(5, dtype=torch.float64)

    def choose(columns: Tensor, start: int) -> Tensor:
        gone = torch.rand(columns.shape) < 0.5
        said.add_((columns * gone / factor[0, start, start]).square().sum((0, 1)))
        return gone

    kept, left = cut_columns(weight, factor, choose, steps=[1] * 9, block=4)
    assert not left[~kept].any()
    torch.testing.assert_close(error(weight - left, moments)[0], said, rtol=1e-5, atol=1e-7)


@given(st.integers(0, 999), st.integers(1, 8))
@settings(max_examples=25, deadline=None)
def test_making_up_is_no_worse_than_zeroing_where_nothing_behind_goes(
    seed: int, first: int
) -> None:
    """Of the first columns all are cut; what is behind is then the least-squares solution.

    With cuts behind it is not always so: what makes up for an early cut may itself go later.
    """
    weight, moments = layer(seed)
    factor = inverse_factor("w", moments, 1e-9)
    _, left = cut_columns(
        weight,
        factor,
        lambda columns, start: columns.isfinite() & (start < first),
        steps=[1] * 9,
        block=9,
    )
    behind = np.linalg.solve(
        moments[0, first:, first:].numpy(),
        (moments[0, first:] @ weight[0].T).numpy(),
    )
    np.testing.assert_allclose(left[0, :, first:].T.numpy(), behind, atol=1e-4)
    zeroed = weight * (torch.arange(9) < first)
    assert bool((error(weight - left, moments) <= error(zeroed, moments) * (1 + 1e-6)).all())
