from __future__ import annotations

import pytest
import torch

from secateur.errors import MaskError
from secateur.pruning.criteria.scores import scores
from secateur.pruning.criterion import Statistics

ROWS = torch.zeros(2, 3)


@pytest.mark.parametrize("given", [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [6.0, 15.0]])
def test_a_unit_has_the_sum_of_its_weights_or_its_own(given: list[float]) -> None:
    known = Statistics(gathered={"scores": {"w": torch.tensor(given)}})
    assert scores("w", ROWS, known).tolist() == [6.0, 15.0]


def test_a_weight_without_scores_is_named() -> None:
    with pytest.raises(MaskError, match="v is a weight without scores"):
        scores("v", ROWS, Statistics(gathered={"scores": {"w": ROWS}}))
