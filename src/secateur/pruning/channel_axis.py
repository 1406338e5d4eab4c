"""The channel axis: where a layer's channels lie in what it is given and what it gives."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd


def channel_axis(module: nn.Module, tensor: Tensor) -> int:
    """The axis of the channels in the input or output of a layer.

    Args:
        module: A linear layer or layer norm, a convolution (batched or not), or another norm.
        tensor: Its input or output.

    Example:
        >>> import torch
        >>> channel_axis(nn.Conv1d(2, 3, 1), torch.zeros(4, 2, 9))
        1
    """
    if isinstance(module, nn.Linear | nn.LayerNorm):
        return tensor.dim() - 1
    if isinstance(module, _ConvNd):
        return tensor.dim() - len(module.kernel_size) - 1
    return 1
