"""Within outputs: single weights or blocks ranked among those that one output is computed from."""

from __future__ import annotations

import torch
from torch import Tensor


def within_outputs(by_output: Tensor) -> Tensor:
    """The place of each unit in its output, 0 for the lowest score.

    Ranked by these places a layer loses as many weights of each output, give or take one (Sun et
    al. 2023, arXiv 2306.11695, section 3: the comparison group is the output). Of equal places the
    earlier output's unit goes first, of equal scores within an output the earlier unit.

    Args:
        by_output: Scores, shape `[outputs, units of each]`; `-inf` comes first.

    Returns:
        Of the same shape, float64.

    Example:
        >>> within_outputs(torch.tensor([[3.0, 1.0, 2.0], [10.0, 30.0, 20.0]])).tolist()
        [[2.0, 0.0, 1.0], [0.0, 2.0, 1.0]]
    """
    order = by_output.argsort(dim=1, stable=True)
    places = torch.arange(order.shape[1], dtype=torch.float64, device=order.device)
    found = torch.empty(order.shape, dtype=torch.float64, device=order.device)
    return found.scatter_(1, order, places.expand(order.shape))
