from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.criteria.fpgm import fpgm
from secateur.pruning.criterion import Statistics
from secateur.pruning.method import Method, Part


def test_distances_by_hand() -> None:
    """Three points on a line, five apart: the middle one is the nearest to the others."""
    rows = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    assert fpgm("w", rows, Statistics()).tolist() == [15.0, 10.0, 15.0]


def test_the_formula_over_more_units_than_one_chunk() -> None:
    rows = torch.randn(70, 6, generator=torch.Generator().manual_seed(2))
    points = rows.numpy().astype(np.float64)
    expected = [sum(np.sqrt(((one - other) ** 2).sum()) for other in points) for one in points]
    np.testing.assert_allclose(fpgm("w", rows, Statistics()).numpy(), expected, rtol=1e-13)


def test_single_weights_have_no_median() -> None:
    method = Method("each", "", "", (Part("fpgm", "weight", "all", "layer"),))
    with pytest.raises(MaskError, match="'fpgm' is for single weights"):
        secateur.prune(nn.Linear(3, 2), method, sparsity=0.5)
