from __future__ import annotations

import numpy as np
import pytest
import torch

from secateur.pruning.criteria.lamp import lamp
from secateur.pruning.criterion import Statistics


def reference(squares: np.ndarray) -> np.ndarray:
    """The definition, unit by unit: those that are as large and later, or larger, outlast it."""
    order = np.argsort(squares, kind="stable")
    scores = np.empty(len(squares))
    for place, unit in enumerate(order):
        scores[unit] = squares[unit] / squares[order[place:]].sum()
    return scores


def test_scores_by_hand() -> None:
    """Squares 1, 9, 4: 1/14, then 4/13, and the largest is all that outlasts itself."""
    scores = lamp("w", torch.tensor([[1.0], [-3.0], [2.0]]), Statistics())
    assert scores.tolist() == [1 / 14, 1.0, 4 / 13]


@pytest.mark.parametrize("width", [1, 5])
def test_the_formula(width: int) -> None:
    rows = torch.randn(60, width, generator=torch.Generator().manual_seed(1))
    rows[7] = rows[3]  # a tie: the earlier scores less
    squares = (rows.numpy().astype(np.float64) ** 2).sum(axis=1)
    scores = lamp("w", rows, Statistics())
    np.testing.assert_allclose(scores.numpy(), reference(squares), rtol=1e-12)
    assert scores[3] < scores[7]
    norms = rows.double().norm(dim=1)
    assert torch.equal(scores.argsort(stable=True), norms.argsort(stable=True))


def test_a_layer_of_zeros_scores_nothing() -> None:
    assert lamp("w", torch.zeros(3, 1), Statistics()).tolist() == [0.0, 0.0, 0.0]
