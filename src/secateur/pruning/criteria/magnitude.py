"""Magnitude: small weights go first."""

from __future__ import annotations

import torch
from torch import Tensor

from secateur.pruning.criterion import Statistics

UNITS = 64


def magnitude(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The L1 norm of each unit; of a single weight, its absolute value.

    With granularity `weight` this is magnitude pruning (Han et al. 2015, arXiv 1506.02626,
    section 3.1); with `channel` or `filter` it is the L1 filter norm (Li et al. 2016,
    arXiv 1608.08710, equation 1: the sum of the absolute kernel weights).

    Args:
        parameter: The weight's name (unused).
        rows: Shape `[units, weights per unit]`.
        statistics: Unused.

    Returns:
        Shape `[units]`.

    Example:
        >>> import torch
        >>> magnitude("w", torch.tensor([[1.0, -2.0], [0.5, 0.5]]), Statistics()).tolist()
        [3.0, 1.0]
    """
    del parameter, statistics
    return norms(rows, 1)


def norms(rows: Tensor, order: int) -> Tensor:
    """The norm of each row, in float64; of rows of one weight, its absolute value as it is.

    In float64, so that it ranks the same whatever the memory format and the thread count.

    Args:
        rows: Shape `[units, weights per unit]`.
        order: 1 or 2.

    Returns:
        Shape `[units]`.

    Example:
        >>> import torch
        >>> norms(torch.tensor([[3.0, -4.0]]), 2).tolist()
        [5.0]
    """
    if rows.shape[1] == 1:
        return rows.abs().squeeze(1)
    # Some units at a time: neither their absolute values nor their doubles are ever there whole.
    return torch.cat([_norm(some, order) for some in torch.split(rows, UNITS)])


def _norm(rows: Tensor, order: int) -> Tensor:
    rows = rows if rows.is_floating_point() else rows.abs().double()
    norm: Tensor = torch.linalg.vector_norm(rows, ord=order, dim=1, dtype=torch.float64)
    return norm
