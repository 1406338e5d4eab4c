"""Portable plans: which networks have one, and what is named of those that have none."""

import pytest
import torch
from torch import Tensor, nn

from secateur.errors import ModelError
from secateur.runtime.compiler.portable import portable_plan
from secateur.runtime.kernels import kernels

pytestmark = pytest.mark.skipif(not kernels.available(), reason="no native kernels here")


class Two(nn.Module):
    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        return u + v


class Unknown(nn.Module):
    """One operator that nobody has a kernel for, in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.special.bessel_j0(self.first(x)))


@pytest.mark.parametrize(
    ("net", "example", "words"),
    [
        (Unknown(), torch.zeros(1, 4), r"the operator .*bessel_j0.* is left to torch"),
        (Two(), (torch.zeros(1, 4), torch.zeros(1, 4)), "it takes 2 tensors"),
        (nn.Identity(), torch.zeros(1, 4), "one that computes nothing"),
        (nn.Flatten(), torch.zeros(1, 2, 2), "one that computes nothing"),
    ],
)
def test_what_has_no_plan_says_why(net: nn.Module, example: object, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        portable_plan(net, example)  # type: ignore[arg-type]


def test_both_layouts_share_the_weights() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    plan = portable_plan(net, torch.zeros(1, 4))
    assert [one.values.size for one in plan.weights] == [32, 16]
    assert [int(row["weight"]) for row in plan.ops] == [0, 1]
    assert {int(row["weight"]) for row in plan.lane_ops} == {0, 1}
