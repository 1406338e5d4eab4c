from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.criteria.change import change
from secateur.pruning.criterion import INITIAL, Statistics


def known(first: torch.Tensor) -> Statistics:
    return Statistics(gathered={INITIAL: {"w": first}})


def test_changes_by_hand() -> None:
    scores = change("w", torch.tensor([[2.0, -1.0]]), known(torch.tensor([[1.0, 3.0]])))
    assert scores.tolist() == [5.0]


def test_the_formula() -> None:
    drawn = torch.Generator().manual_seed(3)
    rows, first = torch.randn(9, 4, generator=drawn), torch.randn(9, 4, generator=drawn)
    expected = np.abs(rows.numpy().astype(np.float64) - first.numpy()).sum(axis=1)
    np.testing.assert_allclose(change("w", rows, known(first)).numpy(), expected, rtol=1e-13)


def test_without_the_first_weights_it_is_refused() -> None:
    with pytest.raises(MaskError, match="without initial-weights"):
        secateur.prune(nn.Linear(3, 2), "change", sparsity=0.5)
