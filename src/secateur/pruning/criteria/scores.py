"""Scores: what the caller gives, as it is."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import SCORES, Statistics, needs


@needs(SCORES)
def scores(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The caller's own scores, summed over each unit: `secateur.prune(..., scores=...)`.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`; only its first length is used.
        statistics: Its `scores` hold one number for each weight, or one for each unit.

    Returns:
        Shape `[units]`.

    Raises:
        MaskError: There are no scores of this weight.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"scores": {"w": torch.tensor([3.0, 1.0])}})
        >>> scores("w", torch.zeros(2, 4), known).tolist()
        [3.0, 1.0]
    """
    given = statistics.of(SCORES, parameter).to(rows.device)
    return given.sum(dim=1) if given.ndim > 1 else given
