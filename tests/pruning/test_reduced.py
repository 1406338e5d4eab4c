from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.pruning.method import Reduce
from secateur.pruning.reduced import Reduced

EVERYWHERE = torch.tensor([True, True, True])
NOWHERE = ~EVERYWHERE


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [
        ("sum", [6.0, -3.0, 0.0]),
        ("mean", [3.0, -3.0, 0.0]),
        ("max", [5.0, -3.0, 0.0]),
        ("first", [1.0, -3.0, 0.0]),
    ],
)
def test_by_hand(reduce: Reduce, expected: list[float]) -> None:
    """The first group gets 5 and, by its own layer, 1; the second -1 and -2 from two rows."""
    scores = Reduced(reduce, 3)
    scores.add(torch.tensor([0]), torch.tensor([5.0]), NOWHERE)
    scores.add(torch.tensor([0, 1, 1]), torch.tensor([1.0, -1.0, -2.0]), EVERYWHERE)
    assert scores.values().tolist() == expected


class Residual(nn.Module):
    """Two convolutions compute the same two channels."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 2, 1, bias=False)
        self.two = nn.Conv2d(2, 2, 1, bias=False)
        self.last = nn.Conv2d(2, 1, 1)
        with torch.no_grad():
            self.one.weight.copy_(torch.tensor([2.0, 3.0]).reshape(2, 1, 1, 1))
            self.two.weight.copy_(torch.tensor([[2.0, 2.0], [1.0, 1.0]]).reshape(2, 2, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        found: Tensor = self.last(torch.relu(x + self.two(x)))
        return found


@pytest.mark.parametrize(("reduce", "gone"), [("sum", 1), ("mean", 1), ("max", 1), ("first", 0)])
def test_a_residual_sum(reduce: str, gone: int) -> None:
    """Channel 0 has 2 and 4, channel 1 has 3 and 2: only by the first layer is channel 1 ahead."""
    masks = secateur.prune(
        Residual(),
        "l1-filter",
        sparsity=0.4,
        only=["one", "two"],
        options={"reduce": reduce},
        example_inputs=torch.ones(1, 1, 2, 2),
    )
    assert masks["one.weight"].flatten().tolist() == [gone != 0, gone != 1]
