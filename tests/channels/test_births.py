"""What the tape did not see being made is no constant, and what it touches stays."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.channels import trace
from secateur.channels.births import Writes

WRITER = torch.library.Library("secateur_births", "DEF")
WRITER.define("fill(Tensor x, Tensor(a!) out) -> ()")
WRITER.impl("fill", lambda x, out: out.__setitem__(..., x), "CompositeExplicitAutograd")


def standardised(x: Tensor) -> Tensor:
    return (x - 0.1) / 1.2


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    scripted = torch.jit.script(standardised)


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(_: object, x: Tensor) -> Tensor:
        return torch.from_numpy(2 * x.numpy())


def by_numpy(x: Tensor) -> Tensor:
    return torch.from_numpy(np.tanh(x.numpy()))


def into_shared_memory(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    out.numpy()[...] = x.numpy()
    return out


def by_data(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    out.data = x * 1.0
    return out


def through_another_name(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    out.data.copy_(x)
    return out


def through_a_view(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    out.view(-1).copy_(x.reshape(-1))
    return out


def by_a_kernel(x: Tensor) -> Tensor:
    out = torch.empty_like(x)
    torch.ops.secateur_births.fill(x, out)
    return out


def by_out(x: Tensor) -> Tensor:
    out = torch.zeros(x.shape, dtype=x.dtype)
    torch.mul(x, 1.5, out=out)
    return out


UNSEEN: dict[str, Callable[[Tensor], Tensor]] = {
    "jit.script": scripted,
    "numpy": by_numpy,
    "memory shared with numpy": into_shared_memory,
    ".data =": by_data,
    ".data.copy_": through_another_name,
    "a view's copy_": through_a_view,
    "a registered operator's out": by_a_kernel,
    "out=": by_out,
    "autograd.Function": Twice.apply,
    "dlpack": lambda x: torch.from_dlpack(x * 1.0),
    "vmap": torch.vmap(lambda row: row * 2 - 0.1),
    "tolist": lambda x: torch.tensor(x.tolist(), dtype=x.dtype),
}


class Before(nn.Module):
    """Something unseen in front of a net whose units fire on rare inputs only."""

    def __init__(self, made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.made, self.a, self.b = made, nn.Linear(10, 16), nn.Linear(16, 3)
        with torch.no_grad():
            self.a.bias[:8] -= 4
            self.a.bias[8:] += 4

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.b(torch.relu(self.a(self.made(x).to(x.dtype))))
        return y


@pytest.mark.parametrize("way", UNSEEN)
def test_a_tensor_whose_birth_was_not_seen_is_no_constant(way: str) -> None:
    torch.manual_seed(0)
    net, x = Before(UNSEEN[way]).eval(), torch.randn(2, 10)
    masks = secateur.prune(net, "l1-filter", sparsity=0.25, scope="all", example_inputs=x)
    small = secateur.compact(net, masks, x)
    rare = 9 * net.a.weight[:8].detach().sign()
    assert small.a.out_features == int(masks["a.bias"].sum()) == 12
    with torch.no_grad():
        torch.testing.assert_close(net(rare), small(rare), atol=1e-4, rtol=1e-4)


class Inside(nn.Module):
    """Something unseen between two layers: the channels that it touches stay."""

    def __init__(self, made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.made, self.a, self.b, self.c = made, nn.Linear(4, 6), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.c(torch.relu(self.b(self.made(self.a(x)).to(x.dtype))))
        return y


@pytest.mark.parametrize("way", [way for way in UNSEEN if way != "tolist"])
def test_channels_that_something_unseen_touches_are_cut_rightly_or_not_at_all(way: str) -> None:
    torch.manual_seed(0)
    net, x = Inside(UNSEEN[way]).eval(), torch.randn(3, 4)
    masks = secateur.prune(net, "l1-filter", sparsity=0.4, scope="all", example_inputs=x)
    small = secateur.compact(net, masks, x)
    assert small.b.out_features < 8
    with torch.no_grad():
        torch.testing.assert_close(net(x), small(x))


def test_a_branch_on_numbers_of_an_activation_is_refused_with_its_line() -> None:
    with pytest.raises(secateur.SecateurError, match=r"tolist at test_births.py:\d+"):
        trace(Inside(UNSEEN["tolist"]), torch.randn(3, 4))


def test_writes_are_told_by_the_memory_and_not_by_the_name() -> None:
    writes, one, other = Writes(), torch.zeros(4), torch.zeros(4)
    before = writes.state(one)
    writes.note(one[2:])
    assert writes.state(one) != before
    assert writes.state(other) == before
    writes.hand_out(one.view(2, 2))
    assert writes.state(one) == -1
