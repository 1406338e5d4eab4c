"""FPGM: filters that the others of their layer can stand in for go first."""

from __future__ import annotations

import torch
from torch import Tensor

from secateur.pruning.criterion import Statistics, of_channels

UNITS = 64


@of_channels
def fpgm(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The sum of each unit's Euclidean distances to the others of its layer.

    `g(x) = sum over j of ||x - F_j||_2` (He, Liu, Wang, Hu and Yang 2019, "Filter pruning via
    geometric median", arXiv 1811.00250, section 3.3): a filter near the geometric median
    of its layer is the most replaceable, whatever its norm.

    Args:
        parameter: The weight's name (unused).
        rows: Shape `[units, weights per unit]`.
        statistics: Unused.

    Returns:
        Shape `[units]`, float64.

    Example:
        >>> fpgm("w", torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), Statistics()).tolist()
        [15.0, 10.0, 15.0]
    """
    del parameter, statistics
    points = rows.double()
    # Some at a time, so that the distances of all pairs are never there whole; without the
    # product of matrices, which loses the small ones to rounding.
    exact = "donot_use_mm_for_euclid_dist"
    parts = [torch.cdist(some, points, compute_mode=exact) for some in torch.split(points, UNITS)]
    return torch.cat([part.sum(dim=1) for part in parts])
