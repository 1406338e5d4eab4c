from __future__ import annotations

import numpy as np
import torch

from secateur.pruning.criteria.movement import movement
from secateur.pruning.criterion import Statistics


def known(slopes: torch.Tensor) -> Statistics:
    return Statistics(gathered={"gradients": {"w": slopes}})


def test_away_from_zero_scores_above_towards_zero() -> None:
    """A step against the gradient lets 2 grow by a slope of -1, and shrink by one of 1."""
    rows = torch.tensor([[2.0], [2.0], [-2.0]])
    scores = movement("w", rows, known(torch.tensor([[-1.0], [1.0], [-1.0]])))
    assert scores.tolist() == [2.0, -2.0, -2.0]


def test_the_formula() -> None:
    drawn = torch.Generator().manual_seed(4)
    rows, slopes = torch.randn(9, 4, generator=drawn), torch.randn(9, 4, generator=drawn)
    expected = -(rows.numpy().astype(np.float64) * slopes.numpy()).sum(axis=1)
    np.testing.assert_allclose(movement("w", rows, known(slopes)).numpy(), expected, rtol=1e-12)
