from __future__ import annotations

import pytest
import torch

from secateur.errors import TrainingError
from secateur.pruning.repairs.equations import RIDGE, Sums

ALL = torch.arange(3)


def test_parts_give_what_the_whole_gives_which_is_ridge_least_squares() -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 2, 3, dtype=torch.float64) + 2
    missing = torch.randn(40, 2, 4, dtype=torch.float64)
    sums = Sums.zeros(x, missing)
    for part in (slice(0, 7), slice(7, 40)):
        sums.add(x[part], missing[part])
    for has_bias in (False, True):
        equations = sums.centred(has_bias)
        rows = x[:, 1] - (x[:, 1].mean(0) if has_bias else 0)
        wanted = missing[:, 1] - (missing[:, 1].mean(0) if has_bias else 0)
        gram = rows.T @ rows
        ridge = RIDGE * gram.diagonal().mean() * torch.eye(3, dtype=torch.float64)
        expected = torch.linalg.solve(gram + ridge, rows.T @ wanted).T
        assert torch.allclose(equations.solution(1, torch.arange(4), ALL), expected)


def test_constant_inputs_teach_nothing() -> None:
    x = torch.full((5, 1, 3), 1e9, dtype=torch.float64)
    sums = Sums.zeros(x, x)
    sums.add(x, torch.randn(5, 1, 3, dtype=torch.float64))
    equations = sums.centred(has_bias=True)
    equations.gram.fill_(0.0).sub_(1e-9)
    assert not equations.solution(0, ALL, ALL).any()


def test_numbers_that_are_not_finite_are_named() -> None:
    x = torch.full((5, 1, 3), float("nan"), dtype=torch.float64)
    sums = Sums.zeros(x, x)
    sums.add(x, x)
    with pytest.raises(TrainingError, match="not finite"):
        sums.centred(has_bias=False)
