"""Scale: channels whose batch-norm factor is near zero go first."""

from __future__ import annotations

from torch import Tensor

from secateur.errors import MaskError
from secateur.pruning.criterion import SCALES, Statistics, needs


@needs(SCALES)
def scale(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The absolute batch-norm scale of each filter.

    Network slimming (Liu et al. 2017, arXiv 1708.06519, section 3): after training with an L1
    term on the scales, a channel matters as much as the scale of its norm.

    Args:
        parameter: The weight's name.
        rows: Shape `[filters, weights per filter]`; only its first length is used.
        statistics: Its `scales` hold shape `[filters]` for this parameter.

    Returns:
        Shape `[filters]`.

    Raises:
        MaskError: No scales were gathered for this layer.

    Example:
        >>> import torch
        >>> gathered = Statistics(scales={"w": torch.tensor([0.5, -2.0])})
        >>> scale("w", torch.zeros(2, 9), gathered).tolist()
        [0.5, 2.0]
    """
    scales = statistics.scales.get(parameter)
    if scales is None or scales.numel() != rows.shape[0]:
        raise MaskError(
            "scoring by batch-norm scale",
            parameter,
            given="a layer without one scale a filter",
            expected=f"{rows.shape[0]} scales from sparsity training",
            remedy="Run slimming's preparation (secateur.slim) on this model first.",
        )
    return scales.detach().abs().to(rows.device)
