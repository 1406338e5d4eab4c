from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from secateur.errors import MaskError, UnknownNameError
from secateur.pruning.user_scores import checked_scores
from secateur.pruning.weights import prunable_weights

WEIGHTS = prunable_weights(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(2, 2)))


def test_names_of_weights_and_modules_and_anything_that_is_numbers() -> None:
    found = checked_scores({"0": np.arange(4), "1.weight": [[1, 2], [3, 4]]}, WEIGHTS)
    assert {name: one.tolist() for name, one in found.items()} == {
        "0.weight": [0.0, 1.0, 2.0, 3.0],
        "1.weight": [[1.0, 2.0], [3.0, 4.0]],
    }


WRONG: dict[str, Any] = {
    "none": {},
    "no table": [1.0],
    "another shape": {"0": torch.ones(4, 3)},
    "another axis": {"0": torch.ones(5)},
    "text": {"1": "high"},
    "truth values": {"1": torch.ones(2, 2, dtype=torch.bool)},
    "not finite": {"1": torch.tensor([1.0, float("nan")])},
}


@pytest.mark.parametrize("title", WRONG)
def test_what_are_no_scores(title: str) -> None:
    with pytest.raises(MaskError, match="reading scores"):
        checked_scores(WRONG[title], WEIGHTS)


def test_the_nearest_weight_is_said() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean '1\.weight'"):
        checked_scores({"1.weigth": torch.ones(2)}, WEIGHTS)
