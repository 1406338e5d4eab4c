"""The batch-last layout: the images of a batch side by side at every position of every channel.

A tensor keeps its shape `[batch, channels, height, width]`, only its strides change, so every
operator of torch takes it. What works element by element keeps the layout.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def is_batch_last(x: Tensor) -> bool:
    """Whether the batch is the innermost axis, with nothing in between.

    Args:
        x: `[batch, ...]`.

    Example:
        >>> is_batch_last(torch.ones(4, 3)), is_batch_last(torch.ones(3, 4).T)
        (False, True)
    """
    return x.movedim(0, -1).is_contiguous()


def batch_last(size: tuple[int, ...]) -> Tensor:
    """An empty fp32 tensor of this shape in this layout.

    Example:
        >>> batch_last((8, 3, 2, 2)).stride()
        (1, 32, 16, 8)
    """
    strides, step = [1], size[0]
    for length in reversed(size[1:]):
        strides.insert(1, step)
        step *= length
    return torch.empty_strided(size, strides, dtype=torch.float32)


def pool_batch_last(layer: nn.MaxPool2d | nn.AvgPool2d, x: Tensor) -> Any:
    """What the layer makes of the images, in the layout that comes in.

    torch would copy a batch-last tensor first. With channels and batch exchanged it is a
    channels_last one, on which torch's pooling is fastest.

    Example:
        >>> x = torch.rand(6, 5, 4, 4).permute(1, 0, 2, 3)
        >>> bool((pool_batch_last(nn.MaxPool2d(2), x) == nn.MaxPool2d(2)(x)).all())
        True
    """
    forward: Callable[[Tensor], Any] = partial(type(layer).forward, layer)  # type: ignore[arg-type]
    if x.dim() != 4 or not is_batch_last(x):
        return forward(x)
    output = forward(x.transpose(0, 1))
    if isinstance(output, tuple):
        return tuple(part.transpose(0, 1) for part in output)
    return output.transpose(0, 1)


def padded_batch(batch: int, lanes: int) -> int:
    """The next batch size that fills whole vectors; one vector at least.

    Example:
        >>> padded_batch(20, 8), padded_batch(0, 8)
        (24, 8)
    """
    return max(1, -(-batch // lanes)) * lanes


def lay_out(x: Tensor, batch: int) -> Tensor:
    """`[images, ...]` as `[..., batch]`, contiguous, zeros where there is no image.

    Args:
        x: Of any strides. It is not copied if it is batch-last and fills the batch.
        batch: At least as many as there are images.

    Example:
        >>> lay_out(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 4)
        tensor([[1., 3., 0., 0.],
                [2., 4., 0., 0.]])
    """
    if len(x) == batch and is_batch_last(x):
        return x.movedim(0, -1)
    buffer = x.new_empty((*x.shape[1:], batch))
    buffer[..., : len(x)] = x.movedim(0, -1)
    buffer[..., len(x) :] = 0
    return buffer
