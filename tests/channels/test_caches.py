"""Function caches: a pass meets the same operators each time, and leaves nothing in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, wraps

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.channels.tracing.run import record


def remembered(function: Callable[[int, torch.dtype], Tensor]) -> Callable[..., Tensor]:
    """A decorator that hides its cache in a closure, as those of transformers do."""
    inner = lru_cache(maxsize=4)(function)

    @wraps(function)
    def wrapper(size: int, kind: torch.dtype) -> Tensor:
        return inner(size, kind)

    return wrapper


@cache
def of_the_file(size: int, kind: torch.dtype) -> Tensor:
    return torch.arange(size, dtype=kind).sqrt().view(-1, 1)


@remembered
def in_a_closure(size: int, kind: torch.dtype) -> Tensor:
    return torch.arange(size, dtype=kind).sqrt().view(-1, 1)


class Positions(nn.Module):
    """Adds positions that a cached function makes."""

    def __init__(self, of: Callable[..., Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.of = nn.Linear(3, 8), nn.Linear(8, 2), of

    @staticmethod
    @lru_cache
    def of_the_class(size: int, kind: torch.dtype) -> Tensor:
        return torch.arange(size, dtype=kind).sqrt().view(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x + self.of(x.shape[1], x.dtype))))


@pytest.mark.parametrize("of", [of_the_file, in_a_closure, Positions.of_the_class])
def test_cached_functions_run_in_every_pass(of: Callable[..., Tensor]) -> None:
    net, x = Positions(of), torch.randn(2, 5, 3)
    net(x)
    first, second = record(net, x), record(net, x)
    assert [step.name for step in first.steps] == [step.name for step in second.steps]
    assert "arange" in [step.name for step in first.steps]


@pytest.mark.parametrize("of", [of_the_file, in_a_closure, Positions.of_the_class])
def test_nothing_of_a_trace_stays_in_a_cache(of: Callable[..., Tensor]) -> None:
    net, x = Positions(of), torch.randn(2, 5, 3)
    before = net(x)
    secateur.trace(net, x)
    assert torch.equal(net(x), before)
