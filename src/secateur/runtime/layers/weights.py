"""A sparse weight as two small tensors: what is left of it, and where."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_INT32 = 2**31


def compress(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The non-zero numbers of a weight and their positions in it, flattened.

    Args:
        weight: Of any shape.

    Returns:
        values: `[n]`, of the weight's dtype.
        positions: `[n]`, rising, int32 where that is enough, else int64.

    Example:
        >>> compress(torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
        (tensor([2., 3.]), tensor([1, 2], dtype=torch.int32))
    """
    flat = weight.detach().reshape(-1)
    positions = flat.nonzero().reshape(-1)
    values = flat[positions].clone()
    return values, positions.to(torch.int32 if flat.numel() < _INT32 else torch.int64)


def restore(values: Tensor, positions: Tensor, size: list[int]) -> Tensor:
    """The dense weight again; differentiable in `values`.

    Example:
        >>> restore(*compress(torch.eye(2)), [2, 2])
        tensor([[1., 0.],
                [0., 1.]])
    """
    flat = values.new_zeros(math.prod(size))
    return flat.index_put((positions.long(),), values).reshape(size)
