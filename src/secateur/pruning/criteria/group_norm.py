"""Group norm: channels that are small wherever they live go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, everywhere, of_channels


@of_channels
@everywhere
def group_norm(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """What one parameter adds to the squared L2 norm of each channel's group.

    `I_{g,k} = sum over w in g of ||w[k]||_2^2` (Fang et al. 2023, "DepGraph: towards any
    structural pruning", arXiv 2301.12900, section 3.3), over all parameters `w` in which channel
    `k` has a place: those that compute it, its bias and its norm, and those that read it.
    Across layers it is ranked relative to the mean of each, as in the authors' code
    (`normalize = "mean"`).

    Args:
        parameter: The parameter's name (unused).
        rows: Shape `[channels, elements per channel]`.
        statistics: Unused.

    Returns:
        Shape `[channels]`, float64.

    Example:
        >>> import torch
        >>> group_norm("w", torch.tensor([[3.0, -4.0], [0.0, 6.0]]), Statistics()).tolist()
        [25.0, 36.0]
    """
    del parameter, statistics
    return rows.double().square().sum(dim=1)
