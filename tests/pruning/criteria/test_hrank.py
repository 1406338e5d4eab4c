"""The numbers themselves are checked in tests/pruning/statistics/test_outputs.py."""

import pytest
import torch

from secateur.errors import MaskError
from secateur.pruning.criteria.hrank import hrank
from secateur.pruning.criterion import Statistics


def test_what_was_gathered_is_the_score() -> None:
    known = Statistics(gathered={"output-ranks": {"w": torch.tensor([0.5, 2.0])}})
    assert hrank("w", torch.zeros(2, 9), known).tolist() == [0.5, 2.0]
    with pytest.raises(MaskError, match="2 output-ranks, expected one for each of its 3 units"):
        hrank("w", torch.zeros(3, 9), known)
