import torch

from secateur.pruning.criteria.magnitude import magnitude
from secateur.pruning.criterion import Statistics


def test_l1_norm_of_filters_by_hand() -> None:
    rows = torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.0, 0.0], [-0.5, 0.25, 0.25]])
    assert magnitude("w", rows, Statistics()).tolist() == [6.0, 0.0, 1.0]


def test_a_single_weight_scores_its_absolute_value() -> None:
    rows = torch.tensor([[-3.0], [2.0], [-0.0]])
    scores = magnitude("w", rows, Statistics())
    assert scores.tolist() == [3.0, 2.0, 0.0]
    assert not torch.signbit(scores).any()


def test_the_weights_are_left_alone() -> None:
    rows = torch.tensor([[-3.0, 1.0]])
    magnitude("w", rows, Statistics())
    assert rows.tolist() == [[-3.0, 1.0]]
