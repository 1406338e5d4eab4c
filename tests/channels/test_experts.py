"""Experts: one matrix for each, all cut alike, in widths that the kernel takes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import secateur
from secateur.errors import SecateurError


class Experts(nn.Module):
    """A gated mixture whose rows are sorted by expert; the third expert is given none."""

    def __init__(self, *, transposed: bool = False) -> None:
        super().__init__()
        self.up, self.transposed = nn.Parameter(torch.randn(4, 32, 8)), transposed
        self.down = nn.Parameter(torch.randn(4, 8, 16))
        if transposed:
            self.up = nn.Parameter(self.up.detach().mT.contiguous())
            self.down = nn.Parameter(self.down.detach().mT.contiguous())
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        ends = torch.tensor([2, 5, 5, len(x)], dtype=torch.int32)
        up, down = (self.up, self.down) if self.transposed else (self.up.mT, self.down.mT)
        gate, value = functional.grouped_mm(x, up, offs=ends).chunk(2, dim=-1)
        return self.head(functional.grouped_mm(gate.sigmoid() * value, down, offs=ends))


def masks_without(net: Experts, gone: list[int]) -> dict[str, Tensor]:
    """Masks of both halves of `up` at these neurons."""
    mask = torch.ones_like(net.up, dtype=torch.bool)
    for one in gone:
        mask.movedim(2 if net.transposed else 1, 0)[[one, one + 16]] = False
    with torch.no_grad():
        net.up.mul_(mask)
    return {"up": mask}


@pytest.mark.parametrize("transposed", [False, True])
def test_experts_lose_the_same_neurons(transposed: bool) -> None:
    torch.manual_seed(0)
    net, x = Experts(transposed=transposed).eval(), torch.randn(9, 8)
    groups = secateur.trace(net, x).groups("all")
    assert groups.multiples == {"": 4}
    masks = masks_without(net, [0, 3, 7, 15])
    small = secateur.compact(net, masks, x)
    assert small.down.numel() == net.down.numel() * 12 // 16
    with torch.no_grad():
        torch.testing.assert_close(small(x), net(x))


def test_a_width_that_the_kernel_does_not_take_is_not_handed_over() -> None:
    torch.manual_seed(0)
    net, x = Experts().eval(), torch.randn(9, 8)
    masks = masks_without(net, [0, 3, 7])
    try:
        small = secateur.compact(net, masks, x)
    except SecateurError:
        return
    with torch.no_grad():
        torch.testing.assert_close(small(x), net(x))
