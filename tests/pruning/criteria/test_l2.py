from __future__ import annotations

import numpy as np
import torch

from secateur.pruning.criteria.l2 import l2
from secateur.pruning.criterion import Statistics


def test_norms_by_hand() -> None:
    assert l2("w", torch.tensor([[3.0, 4.0], [0.0, 0.0]]), Statistics()).tolist() == [5.0, 0.0]
    assert l2("w", torch.tensor([[-3.0], [2.0]]), Statistics()).tolist() == [3.0, 2.0]


def test_the_formula_over_more_units_than_one_chunk() -> None:
    rows = torch.randn(130, 7, generator=torch.Generator().manual_seed(0))
    expected = np.sqrt((rows.numpy().astype(np.float64) ** 2).sum(axis=1))
    np.testing.assert_allclose(l2("w", rows, Statistics()).numpy(), expected, rtol=1e-14)
