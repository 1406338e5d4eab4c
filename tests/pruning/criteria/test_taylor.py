from __future__ import annotations

import numpy as np
import torch

from secateur.pruning.criteria.taylor import taylor
from secateur.pruning.criterion import Statistics


def known(squares: torch.Tensor) -> Statistics:
    return Statistics(gathered={"squared-gradients": {"w": squares}})


def test_products_by_hand() -> None:
    scores = taylor("w", torch.tensor([[1.0, 3.0]]), known(torch.tensor([[4.0, 1.0]])))
    assert scores.tolist() == [13.0]


def test_the_formula() -> None:
    """Equation 8: the sum over a unit of the squared product of weight and gradient."""
    drawn = torch.Generator().manual_seed(6)
    rows, slopes = torch.randn(9, 4, generator=drawn), torch.randn(9, 4, generator=drawn)
    expected = ((rows.numpy().astype(np.float64) * slopes.numpy()) ** 2).sum(axis=1)
    found = taylor("w", rows, known(slopes.double().square()))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
