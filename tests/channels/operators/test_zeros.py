"""Traits: what is known of operators spares runs, and never claims too much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import zoo_convs  # noqa: F401
import zoo_joins  # noqa: F401
import zoo_sequences  # noqa: F401
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_pre_hook
from zoo import ZOO, Net, grow

from secateur.channels import trace
from secateur.channels.tracing.solver import solve
from secateur.channels.tracing.state import is_sized
from secateur.channels.tracing.zero_check import inexact


@contextmanager
def runs(path_of: nn.Module) -> Iterator[list[bool]]:
    """Notes every run of networks of this type: True where its tensors have no storage."""
    seen: list[bool] = []

    def note(module: nn.Module, _: object) -> None:
        if type(module) is type(path_of):
            seen.append(next(module.parameters()).is_meta)

    handle = register_module_forward_pre_hook(note)
    try:
        yield seen
    finally:
        handle.remove()


class Block(nn.Module):
    """A residual block that writes no size into its code."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm(self.a(x)) + self.b(x))
        return self.head(torch.flatten(y.mean((2, 3)), 1))


class Shaped(Block):
    """The same with a size in its code."""

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm(self.a(x)) + self.b(x))
        return self.head(y.mean((2, 3)).view(-1, 8))


def test_a_network_of_known_operators_runs_once_and_training_mode_is_played() -> None:
    net = Block()
    with runs(net) as seen:
        trace(net, torch.zeros(1, 3, 4, 4))
    assert seen == [False, True]


class Slower(Block):
    """Training mode does the same with another stride, or with another layer of the same shape."""

    def __init__(self, *, other: bool) -> None:
        super().__init__()
        self.c, self.other = nn.Conv2d(3, 8, 1), other

    def forward(self, x: Tensor) -> Tensor:
        side = self.c if self.other and self.training else self.b
        stride = 2 if self.training and not self.other else 1
        y = functional.relu(functional.avg_pool2d(self.norm(self.a(x)), 1, stride))
        return self.head((y.mean((2, 3)) + side(x).mean((2, 3))).flatten(1))


@pytest.mark.parametrize("other", [True, False])
def test_training_mode_that_does_something_else_runs(*, other: bool) -> None:
    net = Slower(other=other)
    with runs(net) as seen:
        trace(net, torch.zeros(1, 3, 4, 4))
    assert seen == [False, True, False]


def test_a_size_in_the_code_is_played_dry() -> None:
    net = Shaped()
    with runs(net) as seen:
        found = trace(net, torch.zeros(1, 3, 4, 4))
    assert any(seen)
    assert any("a size written in the code" in pin.operator for pin in found.report)


@pytest.mark.parametrize(
    ("function", "sized"),
    [
        (lambda x: x.view(x.shape[0], -1), True),
        (lambda x: x.flatten(1), False),
        (lambda x: x.transpose(1, 2).mean(1), False),
        (lambda x: x[:, :, ::2].sum(2), False),
        (lambda x: x[:, :4].sum(2), True),
        (lambda x: torch.cat([x, x], 1).amax(2), False),
        (lambda x: x.reshape(2, -1), False),
        (lambda x: x.reshape(-1, 48), True),
    ],
)
def test_whose_code_counts_channels(function: object, sized: bool) -> None:
    model = Net(lambda m, x: m.b(function(m.a(x))), a=nn.Conv1d(1, 8, 1), b=nn.LazyLinear(2))  # type: ignore[operator]
    example = torch.zeros(2, 1, 6)
    model(example)
    state = solve(model, example)
    assert is_sized(state, state.classes.written >= 0) == sized


@pytest.mark.parametrize("name", sorted(ZOO))
def test_no_class_is_called_zero_that_is_not(name: str) -> None:
    model, example = grow(name)
    state = solve(model, example)
    claimed = inexact(model, example, state)
    for read in state.tape.reads:
        read.may_be_nonzero = True
    tried = inexact(model, example, state)
    assert not (tried & ~claimed).any()
