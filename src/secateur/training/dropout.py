"""Dropout on a CPU, drawn by the byte.

torch draws one 32-bit number for each element there, at 5 % of a training step of a small
convolutional net. One random byte is enough wherever `256 p` is a whole number, as for the usual
1/4 and 1/2: the probability is the same to the last bit, and an eighth of the numbers is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

_WORD = 8


@contextmanager
def byte_dropout(model: nn.Module) -> Iterator[None]:
    """While it lasts, the model's `nn.Dropout` layers draw bytes where that is exact.

    Args:
        model: Its layers are given back as they were. A layer on another device, of another
            class, or of a probability that no byte can express, is left alone.

    Example:
        >>> layer = nn.Dropout(0.25)
        >>> with byte_dropout(layer):
        ...     sorted(layer(torch.ones(4000)).unique().tolist())
        [0.0, 1.3333333730697632]
    """
    layers = [
        module
        for module in model.modules()
        if type(module) is nn.Dropout and 0 < module.p < 1 and (256 * module.p).is_integer()
    ]
    for layer in layers:
        layer.forward = partial(_forward, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: nn.Dropout, images: Tensor) -> Tensor:
    dense = (
        images.is_contiguous()
        or images.is_contiguous(memory_format=torch.channels_last)
        or images.movedim(0, -1).is_contiguous()  # batch-last, of sparse retraining
    )
    if not layer.training or not dense or images.device.type != "cpu":
        return functional.dropout(images, layer.p, layer.training, layer.inplace)
    words = torch.empty(-(-images.numel() // _WORD), dtype=torch.int64)
    # The whole range of 64 bits, so that each of the eight bytes is uniform.
    drawn = words.random_(-(2**63), None).view(torch.uint8)[: images.numel()]
    noise = drawn.ge(int(256 * layer.p)).to(images.dtype).mul_(1 / (1 - layer.p))
    # In the order of memory, whatever the layout: independent draws have no order of their own.
    return images * noise.as_strided(images.shape, images.stride())
