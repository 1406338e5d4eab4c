from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import secateur.data
from secateur.data.images import ImageData
from secateur.point import Share
from secateur.training.evaluate import evaluate


class Says(nn.Module):
    """Answers from a list, in the order in which images come."""

    def __init__(self, answers: list[int], broken: dict[int, float] | None = None) -> None:
        super().__init__()
        self.answers = answers
        self.broken = broken or {}
        self.seen = 0
        self.inner = nn.Dropout()

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        logits = torch.zeros(len(images), 5)
        for row in range(len(images)):
            logits[row, self.answers[self.seen]] = 1.0
            if self.seen in self.broken:
                logits[row, 4] = self.broken[self.seen]
            self.seen += 1
        return logits


@pytest.fixture(scope="module")
def data() -> ImageData:
    # Labels go 0 1 2 3 4 0 1 2 3 4 0 ...
    return secateur.data.load("shapes", train=5, val=11, test=5, size=8)


LABELS = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]


@pytest.mark.parametrize("batch", [1, 3, 4, 5, 10, 11, 256])
def test_a_last_short_batch_counts_as_much_as_any(batch: int, data: ImageData) -> None:
    all_right = Says(LABELS)
    assert evaluate(all_right, data, data.val, batch) == Share(11, 11)
    last_wrong = Says([*LABELS[:10], 3])
    assert evaluate(last_wrong, data, data.val, batch) == Share(10, 11)
    first_wrong = Says([3, *LABELS[1:]])
    assert evaluate(first_wrong, data, data.val, batch) == Share(10, 11)


def test_nan_counts_as_wrong(data: ImageData) -> None:
    # At image 4 the label is 4, where argmax would take NaN for the largest; at 5 it is not.
    model = Says(LABELS, broken={4: float("nan"), 5: float("nan")})
    assert evaluate(model, data, data.val) == Share(9, 11)


def test_a_masked_out_class_is_no_mistake(data: ImageData) -> None:
    model = Says(LABELS, broken={0: -float("inf")})
    assert evaluate(model, data, data.val) == Share(11, 11)


@pytest.mark.parametrize("training", [True, False])
def test_flags_are_left_as_they_were(training: bool, data: ImageData) -> None:
    model = Says(LABELS).train(training)
    model.inner.train(not training)
    evaluate(model, data, data.val)
    assert (model.training, model.inner.training) == (training, not training)


def test_flags_are_left_as_they_were_by_a_net_that_fails(data: ImageData) -> None:
    model = Says([]).train()
    with pytest.raises(IndexError):
        evaluate(model, data, data.val)
    assert model.training
    assert model.inner.training


def test_batch_norm_is_not_touched(data: ImageData) -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(192, 5)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    share = evaluate(model, data, data.val)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert share.total == 11
    assert share == evaluate(model, data, data.val, 4)
