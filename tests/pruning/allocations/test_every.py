"""What holds of every registered allocation, with weights and with channels."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.masks import Masks
from secateur.registry import ALLOCATIONS

EXAMPLE = torch.linspace(-1, 1, 2 * 3 * 36).reshape(2, 3, 6, 6)
METHODS = ("magnitude", "wanda", "l1-filter", "combined")


class Net(nn.Module):
    """A residual sum, and layers of very different sizes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 20, 3, stride=2)
        self.fc = nn.Linear(80, 30)
        self.head = nn.Linear(30, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.third(torch.relu(x + self.second(x))))
        found: Tensor = self.head(torch.relu(self.fc(x.flatten(1))))
        return found


NET = Net().eval()


def cut(allocation: str, method: str, sparsity: float, **more: Any) -> Masks:
    more = {"protected": 0.0, "example_inputs": EXAMPLE, **more}
    return secateur.prune(
        copy.deepcopy(NET),
        method,
        sparsity=sparsity,
        allocation=allocation,
        data=[EXAMPLE],
        loss=lambda net, batch: net(batch).square().mean(),
        **more,
    )


EVERY = pytest.mark.parametrize("allocation", list(ALLOCATIONS))
WITH_EVERY_METHOD = pytest.mark.parametrize("method", METHODS)


@EVERY
@pytest.mark.parametrize("method", ["magnitude", "wanda"])
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.77])
def test_the_total_is_that_of_a_global_cut(allocation: str, method: str, sparsity: float) -> None:
    assert cut(allocation, method, sparsity).zeros == cut("global", "magnitude", sparsity).zeros


@EVERY
@WITH_EVERY_METHOD
def test_levels_are_the_same_again_and_nest_and_leave_every_layer_something(
    allocation: str, method: str
) -> None:
    first = cut(allocation, method, 0.3)
    assert cut(allocation, method, 0.3) == first
    second = cut(allocation, method, 0.5, previous=first)
    assert second.is_within(first)
    assert second.zeros > first.zeros > 0
    assert all(bool(mask.any()) for mask in second.values())
    assert cut(allocation, method, 0.0).zeros == 0


@EVERY
@pytest.mark.parametrize("method", ["magnitude", "combined"])
def test_limits_and_layers_that_are_left_out(allocation: str, method: str) -> None:
    more: dict[str, Any] = {"exclude": "third", "max_sparsity": {"fc": 0.5, "second": 0.25}}
    masks = cut(allocation, method, 0.4, **more, protected=0.3)
    for name, mask in masks.items():
        lost = int((~mask).sum())
        if name.startswith("third"):
            assert lost == 0
        if name in ("fc.weight", "second.weight"):
            assert lost <= {"fc.weight": 0.5, "second.weight": 0.25}[name] * mask.numel()


@EVERY
@pytest.mark.parametrize("granularity", ["1x3", "kernel"])
def test_blocks_and_kernels_are_counted_as_in_a_global_cut(
    allocation: str, granularity: str
) -> None:
    more: dict[str, Any] = {"granularity": granularity, "scope": "conv"}
    found = cut(allocation, "magnitude", 0.3, **more)
    together = cut("global", "magnitude", 0.3, **more)
    assert abs(found.zeros - together.zeros) <= 9


def test_of_n_of_m_there_is_nothing_to_share_out() -> None:
    with pytest.raises(MaskError, match=r"'erk' beside the granularity '2:4'"):
        cut("erk", "magnitude", 0.5, granularity="2:4")


@EVERY
def test_channels_come_near_to_the_level_and_keep_their_multiple(allocation: str) -> None:
    masks = cut(allocation, "l1-filter", 0.5)
    convs = ("first.weight", "second.weight", "third.weight")
    kept = sum(int(masks[name].sum()) for name in convs)
    total = sum(masks[name].numel() for name in convs)
    assert abs(kept - total / 2) <= 8 * 9 * 2  # a channel of the residual sum
    masks = cut(allocation, "l1-filter", 0.5, round_to=4)
    for name in convs:
        assert int(masks[name].flatten(1).all(dim=1).sum()) % 4 == 0
