import numpy as np
import torch

from secateur.pruning.criteria.grasp import grasp
from secateur.pruning.criterion import Statistics


def known(found: torch.Tensor) -> Statistics:
    return Statistics(gathered={"gradient-flow": {"w": found}})


def test_by_hand() -> None:
    """w Hg, by hand 1 x 4 + 2 x 1."""
    rows = torch.tensor([[1.0, 2.0]])
    assert grasp("w", rows, known(torch.tensor([[4.0, 1.0]]))).tolist() == [6.0]


def test_the_formula() -> None:
    drawn = torch.Generator().manual_seed(7)
    rows, found = torch.randn(9, 4, generator=drawn), torch.randn(9, 4, generator=drawn)
    w, s = rows.numpy().astype(np.float64), found.numpy().astype(np.float64)
    expected = (w * s).sum(axis=1)
    np.testing.assert_allclose(grasp("w", rows, known(found)).numpy(), expected, rtol=1e-12)
