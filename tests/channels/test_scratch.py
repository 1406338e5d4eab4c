from __future__ import annotations

import threading

import torch
from torch import Tensor, nn

from secateur.channels.float64 import InFloat64
from secateur.channels.scratch import LARGEST, SMALL, is_lent, lent


def test_what_is_lent_is_the_tensor_in_float64() -> None:
    for shape in ((SMALL,), (4, SMALL), (SMALL, 2)):
        tensor = torch.randn(shape).bfloat16()
        assert torch.equal(lent(tensor), tensor.double())
        turned = torch.randn(shape).movedim(0, -1)
        assert torch.equal(lent(turned), turned.double())


def test_small_and_huge_tensors_and_other_types_are_not_lent() -> None:
    assert is_lent(torch.empty(SMALL), torch.float64)
    assert not is_lent(torch.empty(SMALL - 1), torch.float64)
    assert not is_lent(torch.empty(LARGEST + 1, dtype=torch.int8), torch.float64)
    assert not is_lent(torch.empty(SMALL), torch.float32)
    assert not is_lent(torch.empty(SMALL, device="meta"), torch.float64)


def test_each_thread_has_a_block_of_its_own() -> None:
    here = lent(torch.ones(SMALL))
    other = threading.Thread(target=lambda: lent(torch.zeros(SMALL)))
    other.start()
    other.join()
    assert bool(here.all())


class Twice(nn.Module):
    """Large weights one behind another, and one that is used again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 128, 3, padding=1)
        self.same = nn.Conv2d(128, 128, 3, padding=1)
        self.linear = nn.Linear(128, 256)

    def forward(self, x: Tensor) -> Tensor:
        y = self.same(self.same(self.conv(x).relu()).relu())
        out: Tensor = self.linear(y.mean((2, 3))) + self.linear.weight.sum()
        return out


def test_a_network_in_float64_gives_what_its_double_gives() -> None:
    torch.manual_seed(0)
    net, x = Twice(), torch.randn(2, 16, 6, 6)
    with torch.no_grad():
        with InFloat64(net):
            found = net(x.double())
        torch.testing.assert_close(found, net.double()(x.double()), rtol=1e-12, atol=1e-12)
