"""A list of channels that lies in a buffer follows a cut; one that lies elsewhere holds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.channels import compact_with_record
from secateur.errors import ChannelError


class Ordered(nn.Module):
    def __init__(self, way: str, listed: list[int] | None = None) -> None:
        super().__init__()
        order = torch.tensor(listed or [5, 1, 14, 7, 0, 9, 2, 12, 3, 15, 8, 4, 10, 13, 6, 11])
        self.a, self.b = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 1)
        self.c, self.way = nn.Conv2d(len(order), 4, 1), way
        self.register_buffer("order", order)
        self.register_buffer("other", order.flip(0).int())
        self.register_buffer("unsaved", order.clone(), persistent=False)
        self.kept = order.clone()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.c({**FOLLOWED, **PINNED}[self.way](self, torch.relu(self.a(x))))
        return y


Way = Callable[[Ordered, Tensor], Tensor]
FOLLOWED: dict[str, Way] = {
    "index_select": lambda net, y: y.index_select(1, net.order),
    "by name": lambda net, y: torch.index_select(input=y, dim=-3, index=net.order),
    "brackets": lambda net, y: y[:, net.order],
    "int32": lambda net, y: y.index_select(1, net.other),
    "on the device": lambda net, y: y[:, net.order.to(y.device)],
    "one behind the other": lambda net, y: y[:, net.order][:, net.other],
    "two layers, one list": lambda net, y: torch.relu(net.b(y[:, net.order]))[:, net.order],
}
PINNED: dict[str, Way] = {
    "an attribute": lambda net, y: y[:, net.kept],
    "a buffer that no file holds": lambda net, y: y[:, net.unsaved],
    "made in the code": lambda _, y: y[:, torch.arange(15, -1, -1)],
    "computed": lambda net, y: y[:, net.order.argsort()],
    "used as numbers too": lambda net, y: y[:, net.order] * net.order[:, None, None],
    "a mask": lambda net, y: torch.cat([y[:, net.order > 7], y[:, net.order <= 7]], 1),
    "a list": lambda net, y: y[:, net.order.tolist()],
}
X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def cut(net: Ordered) -> secateur.Masks:
    return secateur.prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=X)


@pytest.mark.parametrize("way", FOLLOWED)
def test_a_list_in_a_buffer_follows(way: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Ordered(way).eval()
    masks = cut(net)
    record = compact_with_record(net, masks, X, fold=False)
    small = record.model
    assert small.a.out_channels == 10
    torch.testing.assert_close(net(X), small(X))
    back = Ordered(way).eval()
    back.load_state_dict(record.expand(small.state_dict(), net.state_dict()))
    torch.testing.assert_close(net(X), back(X))
    secateur.save(small, tmp_path / "net.safetensors")
    loaded = secateur.load(tmp_path / "net.safetensors", lambda: Ordered(way)).eval()
    torch.testing.assert_close(net(X), loaded(X))


@pytest.mark.parametrize("listed", [[3, 1, 4, 15, 9, 2, 6, 5], [3, 1, 4, 1, 5, 9, 2, 6]])
def test_a_list_may_leave_channels_out_and_name_them_twice(listed: list[int]) -> None:
    torch.manual_seed(0)
    net = Ordered("index_select", listed).eval()
    small = secateur.compact(net, cut(net), X)
    assert small.a.out_channels < 16
    torch.testing.assert_close(net(X), small(X))


@pytest.mark.parametrize("way", PINNED)
def test_a_list_elsewhere_holds_its_channels_and_is_named(way: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(ChannelError, match=r"by their numbers|otherwise too|written in the code"):
        cut(Ordered(way).eval())
