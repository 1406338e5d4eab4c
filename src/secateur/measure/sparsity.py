"""How sparse a network is, with the integers behind every share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from secateur.pruning.weights import prunable_weights


class Zeros(NamedTuple):
    """How many elements are zero, of how many.

    Attributes:
        zeros: The numerator.
        total: The denominator.
    """

    zeros: int
    total: int


@dataclass(frozen=True)
class Sparsity:
    """The three shares of zeros in a network.

    Attributes:
        prunable: Of all prunable weights: `sparsity`.
        conv: Of the convolutions' weights, 0 of 0 if there are none: `conv_sparsity`.
        model: Of every parameter, biases and norms included: `model_sparsity`.
    """

    prunable: Zeros
    conv: Zeros
    model: Zeros


def sparsity(model: nn.Module) -> Sparsity:
    """Count the zeros of a network: the elements that compare equal to 0, as -0.0 does.

    A subnormal number is not zero, and neither is NaN. A tied weight counts once.

    Args:
        model: Any network.

    Raises:
        ModelError: The network has no prunable weight.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(4, 4))
        >>> _ = nn.init.eye_(net[1].weight)
        >>> sparsity(net).prunable
        Zeros(zeros=12, total=34)
    """
    weights = prunable_weights(model).values()
    return Sparsity(
        prunable=_count(weight.parameter for weight in weights),
        conv=_count(weight.parameter for weight in weights if weight.kind == "conv"),
        model=_count(model.parameters()),
    )


def _count(tensors: Iterable[Tensor]) -> Zeros:
    zeros = total = 0
    for tensor in tensors:
        zeros += int((tensor == 0).sum())
        total += tensor.numel()
    return Zeros(zeros, total)
