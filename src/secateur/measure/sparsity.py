"""How sparse a network is, with the integers behind every share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from secateur.errors import ModelError
from secateur.pruning.computed import values_in_use
from secateur.pruning.patterns import Pattern
from secateur.pruning.weights import Tied, prunable_weights


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


def sparsity(
    model: nn.Module,
    *,
    example_inputs: Any = None,
    tied: Tied = "keep",
    prunable: Sequence[Pattern] = (),
) -> Sparsity:
    """Count the zeros of a network: the elements that compare equal to 0, as -0.0 does.

    A subnormal number is not zero, and neither is NaN. A tied weight counts once, and a weight
    that is computed (weight norm, the masks of `torch.nn.utils.prune`) as it comes out.

    Args:
        model: Any network.
        example_inputs: A batch that the model accepts, where layers of one's own have parameters
            whose names do not tell what they are; as for `prune`.
        tied: `keep`, or `prune`: a matrix that an embedding shares is a weight; as for `prune`.
        prunable: Patterns of parameters that count as prunable weights, too; as for `prune`.

    Raises:
        ModelError: The network has no prunable weight, or no values (on the meta device).
        MaskError: A pattern matches nothing.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(4, 4))
        >>> _ = nn.init.eye_(net[1].weight)
        >>> sparsity(net).prunable
        Zeros(zeros=12, total=34)
    """
    weights = prunable_weights(
        model, example_inputs=example_inputs, tied=tied, prunable=prunable
    ).values()
    counts = {weight.name: _count(weight.value, weight.name) for weight in weights}
    return Sparsity(
        prunable=_sum(counts.values()),
        conv=_sum(counts[weight.name] for weight in weights if weight.kind == "conv"),
        model=_sum(_count(value, name) for name, value in values_in_use(model)),
    )


def _count(tensor: Tensor, name: str) -> Zeros:
    if tensor.is_meta:
        raise ModelError(
            "counting zeros",
            name,
            given="on the meta device, without values",
            expected="a network with values",
            remedy="Load the weights first: model.to_empty(device='cpu'), then load_state_dict.",
        )
    return Zeros(int((tensor == 0).sum()), tensor.numel())


def _sum(counts: Iterable[Zeros]) -> Zeros:
    every = list(counts)
    return Zeros(sum(one.zeros for one in every), sum(one.total for one in every))
