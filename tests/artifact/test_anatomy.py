"""Anatomy: where tensors live, and the numbers that follow the channels."""

from typing import Any

import pytest
import torch
from torch import nn

from secateur.artifact.anatomy import (
    infer_groups,
    read_attributes,
    slots,
    vacancy,
    write_attributes,
)


class Counting(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width = width
        self.sizes = (width, 2)
        self.name = "x"
        self.flag = True
        self.part = nn.Linear(width, 2)


def test_a_tied_tensor_is_under_each_of_its_names() -> None:
    net = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    net["b"].weight = net["a"].weight
    found = slots(net)
    assert list(found) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert found["a.weight"].tensor is found["b.weight"].tensor


def test_only_numbers_that_no_shape_tells_are_read() -> None:
    net = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.GroupNorm(2, 8),
        nn.LayerNorm([8, 3]),
        nn.ConvTranspose2d(8, 4, 2, groups=2),
        nn.Embedding(3, 4),
        nn.PReLU(4),
        nn.LSTM(4, 5),
        Counting(),
    )
    assert read_attributes(net) == {
        "2": {"num_groups": 2},
        "4": {"groups": 2},
        "7": {"input_size": 4, "hidden_size": 5, "proj_size": 0},
        "8": {"width": 8, "sizes": [8, 2]},
    }


def test_numbers_are_made_to_agree_with_the_tensors() -> None:
    net = nn.Sequential(
        nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8, affine=False), nn.LayerNorm(8), Counting()
    )
    net[0].weight = nn.Parameter(torch.zeros(6, 2, 3, 3))
    net[1].running_mean = torch.zeros(6)
    net[2].weight = nn.Parameter(torch.zeros(6))
    write_attributes(net, {"3": {"width": 6, "sizes": [6, 2]}})
    assert (net[0].in_channels, net[0].out_channels) == (2, 6)
    assert net[1].num_features == 6
    assert net[2].normalized_shape == (6,)
    assert (net[3].width, net[3].sizes) == (6, (6, 2))


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("", "forward", 1),
        ("", "__class__", 1),
        ("", "name", 1),
        ("", "flag", 1),
        ("", "part", 1),
        ("", "width", [1]),
        ("", "sizes", 1),
        ("", "_parameters", 1),
        ("", "new", 1),
        ("gone", "width", 1),
        ("part.weight", "x", 1),
    ],
)
def test_nothing_but_a_number_is_replaced(path: str, name: str, value: Any) -> None:
    net = Counting()
    before = {at: dict(vars(module)) for at, module in net.named_modules()}
    write_attributes(net, {path: {name: value}})
    assert {at: vars(module) for at, module in net.named_modules()} == before


def test_depthwise_groups_are_inferred_where_a_file_is_silent() -> None:
    net = nn.Sequential(nn.Conv2d(8, 16, 3, groups=8), nn.Conv2d(16, 16, 1, groups=2))
    before = {name: slot.tensor.shape for name, slot in slots(net).items()}
    net[0].weight = nn.Parameter(torch.zeros(10, 1, 3, 3))
    net[1].weight = nn.Parameter(torch.zeros(16, 5, 1, 1))
    assert infer_groups(net, before) == {"0": {"groups": 5}, "1": {"groups": 2}}


def test_groups_that_have_become_one_are_told_apart_from_those_built() -> None:
    small, built = nn.Conv2d(4, 4, 3), nn.Conv2d(16, 16, 3, groups=4)
    built.weight = nn.Parameter(small.weight.detach())
    write_attributes(built, read_attributes(small))
    assert (built.groups, built.in_channels, built.out_channels) == (1, 4, 4)


class Parent(nn.Module):
    def __init__(self):
        super().__init__()
        self.child = nn.Identity()
        self.register_module("later", None)


@pytest.mark.parametrize("name", ["child", "later", "forward", "__class__", "training", "a.b"])
@pytest.mark.parametrize("role", ["", "buffer", "transient"])
def test_no_file_puts_a_tensor_where_a_network_keeps_something_else(name, role):
    assert vacancy(Parent(), name, role) is None
