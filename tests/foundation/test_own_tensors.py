from __future__ import annotations

import torch
from torch import nn

from secateur.foundation.own_tensors import each_module, own_tensors


class Tied(nn.Module):
    """Shared modules, shared parameters, a buffer and a module that are None."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.again = self.first
        self.second = nn.Linear(2, 2, bias=False)
        self.second.weight = self.first[0].weight
        self.nothing = None
        self.register_buffer("empty", None)
        self.register_buffer("own", torch.zeros(1), persistent=False)
        self.register_parameter("last", nn.Parameter(torch.zeros(1)))
        self.inside = nn.ModuleDict({"b": nn.Linear(1, 1), "a": nn.ModuleList([nn.GRU(1, 1)])})


def test_the_same_tensors_as_torch_gives_in_the_same_order() -> None:
    net = Tied()
    expected = [*net.named_parameters(), *net.named_buffers()]
    found = own_tensors(net)
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert all(one is other for (_, one), (_, other) in zip(found, expected, strict=True))


def test_the_same_modules_as_torch_gives_in_the_same_order() -> None:
    net = Tied()
    expected = [(f"{name}." if name else "", module) for name, module in net.named_modules()]
    assert list(each_module(net)) == expected
