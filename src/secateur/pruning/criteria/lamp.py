"""LAMP: magnitude that can be compared across layers."""

from __future__ import annotations

import torch
from torch import Tensor

from secateur.pruning.criteria.magnitude import norms
from secateur.pruning.criterion import Statistics


def lamp(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """Each unit's squared magnitude, as a share of that of all units of its layer that outlast it.

    `W[u]^2 / sum over v >= u of W[v]^2`, the units in ascending order (Lee, Park, Mo, Ahn and
    Shin 2021, "Layer-adaptive sparsity for the magnitude-based pruning", arXiv 2010.07611,
    the LAMP score, section 2). Of a channel `W[u]^2` is the sum of its squared weights. The largest
    unit of each layer scores 1; of equal units the earlier scores less. Within a layer the order is
    that of magnitude: the score is there to be ranked globally. A layer of zeros scores 0.

    Args:
        parameter: The weight's name (unused).
        rows: Shape `[units, weights per unit]`.
        statistics: Unused.

    Returns:
        Shape `[units]`, float64, in [0, 1].

    Example:
        >>> lamp("w", torch.tensor([[1.0], [-3.0], [2.0]]), Statistics()).tolist()
        [0.07142857142857142, 1.0, 0.3076923076923077]
    """
    del parameter, statistics
    squares, order = torch.sort(norms(rows, 2).double().square(), stable=True)
    outlasting = squares.flip(0).cumsum(0).flip(0)
    shares = torch.where(outlasting > 0, squares / outlasting, 0.0)
    return torch.empty_like(shares).scatter_(0, order, shares)
