from __future__ import annotations

import torch

from secateur.runtime.layers.axis import ConvAxis
from secateur.runtime.layers.conv_geometry import Window

STRIDED = Window(3, ConvAxis(7, 3, 2, 1, 1, 1), ConvAxis(8, 3, 3, 1, 0, 0))


def test_spreading_and_gathering_are_each_others_transpose() -> None:
    x = torch.randn(5, 3, 7, 8)
    spread = STRIDED.spread(x, 8)
    other = torch.randn_like(spread)
    gathered = STRIDED.gather(other.flatten(0, 2), 5)
    assert gathered.shape == x.shape
    torch.testing.assert_close((spread * other).sum(), (x * gathered).sum())


def test_what_is_framed_has_zeros_around_it() -> None:
    window = Window(3, ConvAxis(7, 3, 1, 1, 0, 0), ConvAxis(8, 2, 1, 2, 0, 0))
    outer = torch.randn(4, 5, 6, 8)
    window.frame(torch.full_like(outer, torch.nan))  # what is left in the scratch memory
    framed = window.frame(outer)
    assert framed.shape == (4, 9, 10, 8)
    assert torch.equal(framed[:, 2:7, 2:8], outer)
    assert framed.count_nonzero() == outer.count_nonzero()


def test_a_linear_layer_is_read_as_it_is() -> None:
    window = Window(3)
    assert window.spread(torch.ones(8, 3), 8).shape == (3, 8)
    outer = torch.ones(4, 1, 1, 8)
    assert window.frame(outer) is outer


def test_windows_that_cannot_be() -> None:
    assert STRIDED.possible(4)
    assert not Window(3, ConvAxis(2, 3, 1, 1, 0, 0), ConvAxis(8, 3, 1, 1, 0, 0)).possible(4)
    huge = ConvAxis(2**15, 3, 1, 1, 0, 0)
    assert not Window(3, huge, huge).possible(4)
