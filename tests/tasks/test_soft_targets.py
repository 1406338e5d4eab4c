"""Soft targets on numbers that a person can check."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from secateur.errors import UsageError
from secateur.tasks.classification import Classification
from secateur.tasks.language_model import LanguageModel
from secateur.tasks.regression import Regression
from secateur.tasks.segmentation import Segmentation
from secateur.tasks.soft_targets import soft_loss

THREE, ONE = math.log(3), math.log(1)
"""Scores of a teacher that gives the shares 3/4 and 1/4."""
DIVERGENCE = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
"""Of those from a half each."""


def test_the_divergence_by_hand() -> None:
    undecided, taught = torch.zeros(1, 2), torch.tensor([[THREE, ONE]])
    assert float(soft_loss(undecided, taught, 1.0)) == pytest.approx(DIVERGENCE)
    # Twice as warm, and scores twice as large: the same shares, and the square of two.
    assert float(soft_loss(undecided, 2 * taught, 2.0)) == pytest.approx(4 * DIVERGENCE)


def test_it_is_a_mean_over_rows_and_nothing_over_none() -> None:
    undecided, taught = torch.zeros(2, 2), torch.tensor([[THREE, ONE], [0.0, 0.0]])
    assert float(soft_loss(undecided, taught, 1.0)) == pytest.approx(DIVERGENCE / 2)
    assert float(soft_loss(undecided[:0], taught[:0], 1.0)) == 0


@given(
    scores=st.lists(st.floats(-20, 20), min_size=3, max_size=3),
    temperature=st.floats(0.5, 20),
    shift=st.floats(-5, 5),
)
def test_nets_that_agree_are_not_apart_and_no_others_are_nearer(
    scores: list[float], temperature: float, shift: float
) -> None:
    ours = torch.tensor([scores], dtype=torch.float64)
    assert float(soft_loss(ours, ours + shift, temperature)) == pytest.approx(0, abs=1e-9)
    assert float(soft_loss(ours, ours.flip(1), temperature)) >= -1e-9


def test_a_warm_gradient_is_that_of_the_scores_distance() -> None:
    """Section 2.1: for high temperatures and scores of mean zero, `(z - v) / N`."""
    ours = torch.tensor([[1.0, -1.0]], requires_grad=True)
    taught = torch.tensor([[0.5, -0.5]])
    soft_loss(ours, taught, 1000.0).backward()
    assert ours.grad is not None
    assert ours.grad[0].tolist() == pytest.approx([0.25, -0.25], abs=1e-3)


def test_each_task_of_classes_compares_what_its_loss_counts() -> None:
    taught = torch.tensor([[THREE, ONE]])
    known = Classification().distillation(torch.zeros(1, 2), taught, (None, None), 1.0)
    assert float(known) == pytest.approx(DIVERGENCE)
    # A pixel, and a position, that count, and one that does not.
    pixels = taught.reshape(1, 2, 1, 1).expand(1, 2, 1, 2).clone()
    pixels[..., 1] = 100 * pixels[..., 1]
    target = torch.tensor([[[0, 255]]])
    found = Segmentation().distillation(torch.zeros(1, 2, 1, 2), pixels, (None, target), 1.0)
    assert float(found) == pytest.approx(DIVERGENCE)
    tokens = pixels[:, :, 0].movedim(1, 2)
    found = LanguageModel().distillation(
        torch.zeros(1, 2, 2), tokens, (None, torch.tensor([[0, -100]])), 1.0
    )
    assert float(found) == pytest.approx(DIVERGENCE)


def test_what_scores_no_classes_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"the task Regression is one that does not say"):
        Regression().distillation(torch.ones(1), torch.ones(1), (None, None), 1.0)
