"""Scratch memory: where a weight lies in float64 while one operator reads it.

Fresh memory is given by the system page by page, which takes ten times as long as the conversion.
So large weights are converted into one block, again and again; it stays there for the next network.
"""

from __future__ import annotations

import threading

import torch
from torch import Tensor

SMALL = 1 << 14
LARGEST = 1 << 22  # elements: 32 MiB


class _Block(threading.local):
    """The block of one thread."""

    memory = torch.empty(0, dtype=torch.float64)


_block = _Block()


def is_lent(tensor: Tensor, kind: torch.dtype | None) -> bool:
    """Whether a tensor is converted to this type in the block: it is large, but not too large."""
    return (
        kind is torch.float64
        and tensor.device.type == "cpu"
        and tensor.layout == torch.strided
        and SMALL <= tensor.numel() <= LARGEST
    )


def lent(tensor: Tensor) -> Tensor:
    """A tensor in float64, until the next one is asked for.

    Args:
        tensor: One for which `is_lent` is true.

    Example:
        >>> lent(torch.ones(2, SMALL)).dtype
        torch.float64
    """
    if _block.memory.numel() < tensor.numel():
        _block.memory = torch.empty(tensor.numel(), dtype=torch.float64)
    return _block.memory[: tensor.numel()].view(tensor.shape).copy_(tensor)
