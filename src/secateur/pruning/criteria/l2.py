"""L2: units of small Euclidean norm go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criteria.magnitude import norms
from secateur.pruning.criterion import Statistics


def l2(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The L2 norm of each unit; of a single weight, its absolute value.

    `sqrt(sum over s of w_s^2)`: the other norm of Li et al. 2016, arXiv 1608.08710, section 4.4.
    Beside L1 it gives a filter with one large weight more than one with many small ones.

    Args:
        parameter: The weight's name (unused).
        rows: Shape `[units, weights per unit]`.
        statistics: Unused.

    Returns:
        Shape `[units]`.

    Example:
        >>> import torch
        >>> l2("w", torch.tensor([[3.0, -4.0], [0.0, 6.0]]), Statistics()).tolist()
        [5.0, 6.0]
    """
    del parameter, statistics
    return norms(rows, 2)
