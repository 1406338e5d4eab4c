"""Operators between two convolutions: half of the channels go, and the function is the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import secateur
from secateur.errors import ChannelError


class Between(nn.Module):
    def __init__(self, between: Callable[[Between, Tensor], Tensor], out: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(out, 4, 1)
        self.gate, self.other = nn.Conv2d(16, 1, 1), nn.Conv2d(16, 16, 1)
        self.mix = nn.Parameter(torch.randn(16, 16))
        self.between, self.n, self.m, self.parts = between, 6, 10, [6, 10]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.b(self.between(self, torch.relu(self.a(x))))
        return y


def unpooled(net: Between, y: Tensor) -> Tensor:
    small, index = F.max_pool2d(y, 2, return_indices=True)
    return F.max_unpool2d(torch.relu(net.other(small)), index, 2)


def scattered(_: Between, y: Tensor) -> Tensor:
    index = torch.zeros_like(y, dtype=torch.long)
    return torch.zeros_like(y).scatter_add(2, index, y)


def in_a_row(_: Between, y: Tensor) -> Tensor:
    return y.clone().unsqueeze_(0).squeeze_(0).transpose_(2, 3).transpose(2, 3)


def padded(y: Tensor) -> Tensor:
    return (torch.arange(y.shape[3]) >= 5)[None, None, None]


ROWS = {
    "index_select on the batch": lambda _, y: y.index_select(0, torch.arange(len(y))),
    "gather along space": lambda _, y: y.gather(3, torch.zeros_like(y, dtype=torch.long)),
    "take_along_dim": lambda _, y: torch.take_along_dim(y, y.argsort(2), 2),
    "scatter_add": scattered,
    "index_add": lambda _, y: y.index_add(2, torch.tensor([0, 1]), y[:, :, :2]),
    "expand_as": lambda net, y: y * torch.sigmoid(net.gate(y)).expand_as(y),
    "expand": lambda net, y: y * torch.sigmoid(net.gate(y)).expand(-1, y.shape[1], -1, -1),
    "max_unpool2d": unpooled,
    "split by attributes": lambda net, y: torch.cat(y.split([net.n, net.m], 1)[::-1], 1),
    "split by a list": lambda net, y: torch.cat(torch.split(y, net.parts, dim=1)[::-1], 1),
    "masked_fill": lambda _, y: y.masked_fill(padded(y), 0.0),
    "masked_fill_": lambda _, y: y.clone().masked_fill_(padded(y), 0),
    "where": lambda _, y: torch.where(padded(y), torch.zeros_like(y), y),
    "where with a number": lambda _, y: torch.where(padded(y), 0.0, y),
    "where with a literal": lambda _, y: torch.where(padded(y), torch.zeros(1), y),
    "normalize over channels": lambda _, y: F.normalize(y, dim=1),
    "normalize over space": lambda _, y: F.normalize(y, dim=3),
    "in place": in_a_row,
    "baddbmm by name": lambda _, y: torch.baddbmm(
        input=y[:, :, 0], batch1=y[:, :, 0], batch2=torch.eye(8).repeat(len(y), 1, 1)
    )[:, :, None],
    "flatten by name": lambda _, y: torch.flatten(input=y, start_dim=2)[:, :, None],
    "a kernel repeated to the width": lambda _, y: F.conv2d(
        y, torch.ones(1, 1, 1, 1).repeat(y.shape[1], 1, 1, 1), groups=y.shape[1]
    ),
    "cumsum along space": lambda _, y: y.cumsum(dim=3),
    "cummax along space": lambda _, y: y.cummax(-1).values,
    "inner": lambda net, y: torch.inner(y.movedim(1, -1), net.mix).movedim(-1, 1),
    "tensordot": lambda net, y: torch.tensordot(y, net.mix, dims=([1], [0])).movedim(-1, 1),
    "tensordot by how many": lambda net, y: torch.tensordot(
        y.movedim(1, -1), net.mix, dims=1
    ).movedim(-1, 1),
    "hypot": lambda net, y: torch.hypot(y, net.other(y)),
    "sgn": lambda net, y: y * torch.sgn(net.other(y)),
    "torch.ops": lambda _, y: torch.ops.aten.relu(y),
}
HALVED = {
    "glu": lambda _, y: F.glu(y, 1),
    "glu by name": lambda _, y: F.glu(input=y, dim=-3),
    "two chunks": lambda _, y: y.chunk(2, 1)[0] * torch.sigmoid(y.chunk(2, 1)[1]),
    "maxout": lambda _, y: y.unflatten(1, (-1, 2)).amax(2),
}
DOUBLED = {
    "cat with zeros_like": lambda _, y: torch.cat([y, torch.zeros_like(y)], 1),
    "cat with new_zeros": lambda _, y: torch.cat([y, y.new_zeros(y.shape)], 1),
}


ALL = [*((w, 16) for w in ROWS), *((w, 32) for w in DOUBLED), *((w, 8) for w in HALVED)]


@pytest.mark.parametrize(("way", "out"), ALL)
def test_channels_follow_the_cut(way: str, out: int) -> None:
    torch.manual_seed(0)
    net, x = Between({**ROWS, **DOUBLED, **HALVED}[way], out).eval(), torch.randn(2, 3, 8, 8)
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, example_inputs=x)
    small = secateur.compact(net, masks, x)
    assert small.a.out_channels == 8
    torch.testing.assert_close(net(x), small(x))
    other = torch.randn(3, 3, 8, 8)
    torch.testing.assert_close(net(other), small(other))


PINNED = {
    "where to another number": lambda _, y: torch.where(padded(y), 1.0, y),
    "masked_fill with another number": lambda _, y: y.masked_fill(padded(y), 1.0),
    "channels by their numbers": lambda _, y: y.index_select(1, torch.arange(15, -1, -1)),
    "cumsum over channels": lambda _, y: y.cumsum(1),
}


@pytest.mark.parametrize("way", PINNED)
def test_channels_that_cannot_follow_are_named(way: str) -> None:
    torch.manual_seed(0)
    net = Between(PINNED[way], 16).eval()
    with pytest.raises(ChannelError, match="pinned as a whole"):
        secateur.prune(net, "l1-filter", sparsity=0.5, example_inputs=torch.randn(2, 3, 8, 8))


class Packed(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], *, unpack: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(4, 12, 3, padding=1), nn.Conv1d(12, 12, 3, padding=1)
        self.rnn, self.fc, self.unpack = kind(12, 10, batch_first=True), nn.Linear(10, 3), unpack  # type: ignore[call-arg]

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        y = torch.relu(self.b(torch.relu(self.a(x)))).transpose(1, 2)
        packed = nn.utils.rnn.pack_padded_sequence(
            y, lengths, batch_first=True, enforce_sorted=False
        )
        out, state = self.rnn(packed)
        if self.unpack:
            y = self.fc(nn.utils.rnn.pad_packed_sequence(out, batch_first=True)[0])
        else:
            y = self.fc((state[0] if isinstance(state, tuple) else state)[-1])
        return y


@pytest.mark.parametrize("unpack", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_packed_sequences_are_followed(kind: type[nn.RNNBase], unpack: bool) -> None:
    torch.manual_seed(0)
    net, example = Packed(kind, unpack=unpack), (torch.randn(3, 4, 7), torch.tensor([7, 4, 5]))
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, scope="all", example_inputs=example)
    small = secateur.compact(net, masks, example)
    assert (small.a.out_channels, small.b.out_channels, small.rnn.hidden_size) == (6, 6, 5)
    other = (torch.randn(3, 4, 7), torch.tensor([2, 7, 6]))
    for inputs in (example, other):
        torch.testing.assert_close(net(*inputs), small(*inputs))


def test_a_norm_over_the_taps_of_a_grouped_convolution_is_cut_by_groups() -> None:
    """As wav2vec 2 has it; nothing of it was followed, and an assertion failed."""
    torch.manual_seed(0)
    grouped = nn.Conv1d(16, 16, 8, padding=4, groups=4)
    net = nn.Sequential(
        nn.Conv1d(4, 16, 1),
        nn.utils.parametrizations.weight_norm(grouped, dim=2),
        *(nn.ReLU(), nn.Conv1d(16, 8, 1), nn.ReLU(), nn.Conv1d(8, 2, 1)),
    )
    x = torch.randn(2, 4, 12)
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, scope="all", example_inputs=x)
    small = secateur.compact(net, masks, x)
    assert small[0].out_channels == 8
    assert small[1].groups == 2
    torch.testing.assert_close(net(x), small(x), atol=1e-4, rtol=1e-4)
