from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from secateur.errors import ModelError
from secateur.pruning.filters import filters, following_norms, run_example
from secateur.pruning.groups import Groups

IMAGES = torch.randn(2, 3, 8, 8)


def table(groups: Groups) -> dict[str, tuple[int, str, list[int]]]:
    return {s.parameter: (s.axis, s.role, s.groups.tolist()) for s in groups.slots}


def test_conv_with_norm_and_conv_with_bias() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 2, 3, bias=False),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.Conv2d(2, 3, 3),
        nn.Flatten(),
        nn.Linear(48, 2),
    )
    groups = filters(model, IMAGES)
    assert groups.layers == ("0", "3")
    assert groups.layer.tolist() == [0, 0, 1, 1, 1]
    assert groups.count == 5
    assert table(groups) == {
        "0.weight": (0, "write", [0, 1]),
        "1.weight": (0, "affine", [0, 1]),
        "1.bias": (0, "affine", [0, 1]),
        "3.weight": (0, "write", [2, 3, 4]),
        "3.bias": (0, "affine", [2, 3, 4]),
    }


def test_a_transposed_convolution_counts_its_outputs_along_axis_1() -> None:
    groups = filters(nn.Sequential(nn.ConvTranspose2d(3, 2, 2)), IMAGES)
    assert table(groups)["0.weight"] == (1, "write", [0, 1])


def test_a_grouped_transposed_convolution_is_left_out() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(3, 6, 2, groups=3), nn.Conv2d(6, 2, 1))
    assert filters(model, IMAGES).layers == ("1",)


def test_a_depthwise_convolution_has_a_filter_a_channel() -> None:
    groups = filters(nn.Sequential(nn.Conv2d(3, 6, 3, groups=3)), IMAGES)
    assert table(groups)["0.weight"] == (0, "write", [0, 1, 2, 3, 4, 5])


def test_convolutions_of_one_weight_share_its_filters() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 2, 1))
    model[2].weight = model[0].weight
    groups = filters(model, IMAGES)
    assert groups.layers == ("0", "3")
    assert table(groups) == {
        "0.weight": (0, "write", [0, 1, 2]),
        "0.bias": (0, "affine", [0, 1, 2]),
        "2.bias": (0, "affine", [0, 1, 2]),
        "3.weight": (0, "write", [3, 4]),
        "3.bias": (0, "affine", [3, 4]),
    }


class _Norms(nn.Module):
    """Convolutions and norms that meet in other orders than they are declared in."""

    def __init__(self, between: str) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.first = nn.Conv2d(3, 4, 1)
        self.second = nn.Conv2d(3, 4, 1)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.first(x)
        if self.between == "relu":
            y = functional.relu(y)
        elif self.between == "relu_":
            y = functional.relu(y, inplace=True)
        elif self.between == "add":
            y = y + self.second(x)
        elif self.between == "both":
            y = self.norm(self.second(x)) + y
        out: Tensor = self.norm(y)
        return out


def test_a_norm_first_hand() -> None:
    assert following_norms(_Norms("nothing"), IMAGES) == {"first": "norm"}


@pytest.mark.parametrize("between", ["relu", "relu_", "add"])
def test_a_norm_at_second_hand_is_not_meant(between: str) -> None:
    assert following_norms(_Norms(between), IMAGES) == {}


def test_a_norm_that_two_convolutions_feed_is_left_alone() -> None:
    class Shared(_Norms):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.norm(self.first(x)) + self.norm(self.second(x))
            return out

    model = Shared("")
    assert following_norms(model, IMAGES) == {"first": "norm", "second": "norm"}
    assert not any(slot.parameter.startswith("norm") for slot in filters(model, IMAGES).slots)


def test_a_net_without_convolutions_is_refused() -> None:
    with pytest.raises(ModelError, match="choose 'magnitude'"):
        filters(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), IMAGES)


def test_a_net_that_fails_says_why_and_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(5, 4, 1), nn.BatchNorm2d(4))
    model[1].eval()
    with pytest.raises(ModelError, match="fails on inputs of shape 2x3x8x8") as caught:
        filters(model, IMAGES)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert [module.training for module in model.modules()] == [True, True, False]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_running_an_example_neither_trains_nor_counts() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))
    output = run_example(model, IMAGES)
    assert isinstance(output, Tensor)
    assert not output.requires_grad
    assert int(model[0].num_batches_tracked) == 0
    assert model.training
    assert model[1].training
