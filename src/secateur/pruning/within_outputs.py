"""Within outputs: single weights ranked among those that the same output is computed from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def within_outputs(module: nn.Module, shape: torch.Size, scores: Tensor) -> Tensor:
    """The place of each weight in its output, 0 for the lowest score.

    Ranked by these places a layer loses as many weights of each output, give or take one (Sun et
    al. 2023, arXiv 2306.11695, section 3: the comparison group is the output). Of equal places the
    earlier output's weight goes first, of equal scores within an output the earlier weight.

    Args:
        module: The layer; of a transposed convolution the outputs lie along the second axis.
        shape: Of its weight.
        scores: Shape `[weights]`, in the order of the weight; `-inf` comes first.

    Returns:
        Shape `[weights]`, float64.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> scores = torch.tensor([3.0, 1.0, 2.0, 10.0, 30.0, 20.0])
        >>> within_outputs(layer, layer.weight.shape, scores).tolist()
        [2.0, 0.0, 1.0, 0.0, 2.0, 1.0]
    """
    transposed = bool(getattr(module, "transposed", False))
    # groups, inputs of one, outputs of one, places of the kernel
    view = (shape[0], 1, 1, math.prod(shape[1:]))
    if transposed:
        groups = int(getattr(module, "groups", 1))
        view = (groups, shape[0] // groups, shape[1], math.prod(shape[2:]))
    by_output = scores.reshape(view).transpose(1, 2)
    order = by_output.flatten(2).argsort(dim=2, stable=True)
    places = torch.arange(order.shape[2], dtype=torch.float64, device=scores.device)
    found = torch.empty(order.shape, dtype=torch.float64, device=scores.device)
    found.scatter_(2, order, places.expand(order.shape))
    return found.reshape(by_output.shape).transpose(1, 2).reshape(-1)
