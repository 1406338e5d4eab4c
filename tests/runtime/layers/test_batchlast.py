from __future__ import annotations

import pytest
import torch
from torch import nn

from secateur.runtime.layers.batchlast import (
    batch_last,
    is_batch_last,
    lay_out,
    padded_batch,
    pool_batch_last,
)


@pytest.mark.parametrize("size", [(4, 3), (8, 3, 5, 2), (1, 1, 1, 1), (2, 3, 1, 1)])
def test_the_layout_survives_what_works_element_by_element(size: tuple[int, ...]) -> None:
    x = batch_last(size).normal_()
    assert x.shape == size
    assert is_batch_last(x)
    assert is_batch_last(x.relu() * 2)
    assert is_batch_last(x.flatten(1))


def test_other_layouts_are_told_apart() -> None:
    assert not is_batch_last(torch.ones(4, 3, 2, 2))
    assert not is_batch_last(torch.ones(4, 3, 2, 2).contiguous(memory_format=torch.channels_last))
    assert not is_batch_last(batch_last((8, 3))[:4])


@pytest.mark.parametrize("images", [0, 1, 5, 8])
def test_images_are_laid_out_with_zeros_behind_them(images: int) -> None:
    x = torch.randn(images, 3, 2, 4)
    batch = padded_batch(images, 8)
    laid = lay_out(x, batch)
    assert laid.is_contiguous()
    assert laid.shape == (3, 2, 4, 8)
    assert torch.equal(laid[..., :images].movedim(-1, 0), x)
    assert not laid[..., images:].any()


def test_what_lies_so_is_not_copied() -> None:
    x = batch_last((8, 3, 2, 2)).normal_()
    assert lay_out(x, 8).data_ptr() == x.data_ptr()
    assert lay_out(x, 16).data_ptr() != x.data_ptr()


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2, 1, 1),
        nn.MaxPool2d(2, return_indices=True),
    ],
    ids=str,
)
def test_pooling_is_torchs_and_keeps_the_layout(layer: nn.MaxPool2d | nn.AvgPool2d) -> None:
    x = batch_last((8, 3, 7, 7)).normal_().requires_grad_()
    ours, theirs = pool_batch_last(layer, x), layer(x.detach().contiguous())
    if not isinstance(ours, tuple):
        ours, theirs = (ours,), (theirs,)
    for got, want in zip(ours, theirs, strict=True):
        assert torch.equal(got, want)
        assert is_batch_last(got)
    (gradient,) = torch.autograd.grad(ours[0].sum(), x)
    assert is_batch_last(gradient)


def test_pooling_of_other_layouts_is_left_to_torch() -> None:
    layer, x = nn.MaxPool2d(2), torch.randn(3, 4, 4)
    assert torch.equal(pool_batch_last(layer, x), layer(x))
