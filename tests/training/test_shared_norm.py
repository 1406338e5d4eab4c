"""Norms over two ranks are those of the whole batch, forwards and backwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from secateur.training.shared_norm import shared_norms

KINDS: dict[str, Any] = {
    "images": lambda: nn.BatchNorm2d(3),
    "features": lambda: nn.BatchNorm1d(3),
    "plain": lambda: nn.BatchNorm2d(3, affine=False, momentum=None),
    "untracked": lambda: nn.BatchNorm2d(3, track_running_stats=False),
}
SHARES = {"even": 4, "uneven": 1, "none": 0}


def whole(kind: str) -> tuple[Tensor, Tensor]:
    shape = (8, 3) if kind == "features" else (8, 3, 4, 4)
    generator = torch.Generator().manual_seed(1)
    values = 3 + 2 * torch.randn(shape, generator=generator)
    return values, torch.randn(shape, generator=generator)


def passed(layer: nn.Module, values: Tensor, slope: Tensor, count: bool = True) -> tuple[Any, ...]:
    inputs = values.clone().requires_grad_()
    out = layer(inputs)
    (out * (slope if count else slope * 0)).sum().backward()
    kept = {name: one.clone() for name, one in layer.named_buffers()}
    return out.detach(), inputs.grad, [one.grad for one in layer.parameters()], kept


def shared(kind: str, share: str) -> tuple[Any, ...]:
    values, slope = whole(kind)
    first = distributed.get_rank() == 0
    cut = SHARES[share]
    rows = slice(0, cut) if first else slice(cut, None)
    counts = not (first and not cut)
    if not counts:
        rows = slice(0, 1)
    layer = KINDS[kind]()
    with shared_norms(layer) as norms:
        norms.counts = counts
        found = passed(layer, values[rows], slope[rows], counts)
        layer.eval()
        still = layer(values)
    gradients = [one.clone() for one in found[2]]
    for one in gradients:
        distributed.all_reduce(one)
    return found[0], found[1], gradients, found[3], still.detach(), "forward" in vars(layer)


@pytest.mark.parametrize("share", list(SHARES))
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_shared_norm_is_that_of_the_whole_batch(two_ranks: Any, kind: str, share: str) -> None:
    first, second = two_ranks(shared, kind, share)
    layer = KINDS[kind]()
    out, gradient, gradients, kept = passed(layer, *whole(kind))
    cut = SHARES[share]
    for place, ours in ((0, out), (1, gradient)):
        parts = [first[place][:cut], second[place]]
        torch.testing.assert_close(torch.cat(parts), ours, rtol=1e-4, atol=1e-5)
    for found in (first, second):
        torch.testing.assert_close(found[2], gradients, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[3], kept, rtol=1e-5, atol=1e-6)
        assert not found[5]
    if not cut:
        assert not first[1].any()
    layer.eval()
    if kind != "untracked":
        torch.testing.assert_close(first[4], layer(whole(kind)[0]), rtol=1e-4, atol=1e-5)


def test_alone_nothing_is_exchanged() -> None:
    layer = nn.BatchNorm1d(2)
    with shared_norms(layer) as norms:
        assert (norms.layers, "forward" in vars(layer)) == ([], False)
