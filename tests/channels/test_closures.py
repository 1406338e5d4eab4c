"""Functions that close over a network: those of a copy close over the copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.channels.closures import Closures
from secateur.channels.rebuild import throwaway

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self, way: Callable[[Net], object]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 2, 1)
        self.seen: dict[str, Tensor] = {}
        self.gain = nn.Parameter(torch.rand(8, 1, 1) + 0.5)
        way(self)

    def forward(self, x: Tensor) -> Tensor:
        y = self.b(self.a(x).relu())
        out: Tensor = self.c(self.seen.get("b", y).relu())
        return out


def keeps(net: Net) -> None:
    net.b.register_forward_hook(lambda _m, _i, out: net.seen.__setitem__("b", out))


def keeps_in_the_dict_itself(net: Net) -> None:
    seen = net.seen
    net.b.register_forward_hook(lambda _m, _i, out: seen.__setitem__("b", out))


def scales(net: Net) -> None:
    net.a.register_forward_hook(lambda _m, _i, out: out * net.gain)


def by_another_function(net: Net) -> None:
    def scaled(out: Tensor) -> Tensor:
        return out * net.gain

    net.a.register_forward_hook(lambda _m, _i, out: scaled(out))


def a_forward_of_its_own(net: Net) -> None:
    before: Any = nn.functional.relu
    net.forward = lambda x: net.c(before(net.b(before(net.a(x))))) * 1.0  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "way", [keeps, keeps_in_the_dict_itself, scales, by_another_function, a_forward_of_its_own]
)
def test_nets_whose_functions_close_over_them_are_cut(way: Callable[[Net], object]) -> None:
    net = Net(way).eval()
    wanted = net(X)
    before = dict(net.seen)
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, scope="all", example_inputs=X)
    small = secateur.compact(net, masks, X)
    assert net.seen.keys() == before.keys()
    assert all(net.seen[name] is before[name] for name in before)
    assert tuple(small.a.weight.shape) == (4, 3, 3, 3)
    assert tuple(small.b.weight.shape) == (4, 4, 3, 3)
    torch.testing.assert_close(small(X), net(X))
    assert not torch.equal(wanted, net(X))
    small.train()(X).sum().backward()
    assert all(one.grad is None for one in net.parameters())


def test_a_counter_of_the_users_stays_shared() -> None:
    calls: list[int] = []
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda *_: calls.append(1))
    throwaway(layer)(torch.zeros(1, 2))
    assert calls == [1]


def test_a_function_that_holds_nothing_of_a_network_is_itself() -> None:
    number = 3

    def plain() -> int:
        return number

    assert Closures().copied(plain) is plain
