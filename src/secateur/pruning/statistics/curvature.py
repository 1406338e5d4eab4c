"""Curvature: the diagonal of the loss's Hessian, and its product with the gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.foundation.own_error import text_of
from secateur.pruning.statistics.gradients import no_sums
from secateur.pruning.weights import Weight

PROBES = 4
"""How many random vectors each batch is probed with."""


class HessianDiagonal:
    """The mean over batches of the loss's second derivative by each weight, estimated.

    `diag(H) = E[z * Hz]` with `z` of independent signs (Bekas, Kokiopoulou and Saad 2007, "An
    estimator for the diagonal of a matrix", after Hutchinson 1990; the squares of signs are 1);
    `PROBES` of them a batch. Its noise falls with the root of probes times batches.
    """

    backward = True
    twice = True

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        del model
        self._weights = {name: weight.parameter for name, weight in weights.items()}
        self._sums = no_sums(self._weights)
        self._count = 0
        # Draws of its own: those of the loss stay what they are without it.
        self._drawn = torch.Generator().manual_seed(torch.initial_seed())

    def note(self) -> None:
        """Probe the Hessian of a batch."""
        self._count += PROBES
        for _ in range(PROBES):
            signs = {name: self._signs(one) for name, one in self._weights.items()}
            for name, product in hessian_times(self._weights, signs).items():
                self._sums[name] += (signs[name] * product).double()

    def close(self) -> Mapping[str, Tensor]:
        """Weight name -> the estimate; zero where the loss is linear in a weight."""
        return {name: total / self._count for name, total in self._sums.items()}

    def _signs(self, parameter: Tensor) -> Tensor:
        drawn = torch.randint(0, 2, parameter.shape, generator=self._drawn)
        return (2 * drawn - 1).to(parameter)


class GradientFlow:
    """The Hessian times the mean gradient, both the means over all batches, of each weight's shape.

    It takes two passes over the batches: one for the gradient, one for the product.
    """

    backward = True
    twice = True
    passes = 2

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        del model
        self._weights = {name: weight.parameter for name, weight in weights.items()}
        self._gradients: Mapping[str, Tensor] = {}
        self._sums = no_sums(self._weights)
        self._count = 0

    def turn(self) -> None:
        """Go over from the gradient to the product."""
        self._gradients = {
            name: (total / self._count).to(self._weights[name])
            for name, total in self._sums.items()
        }
        self._sums, self._count = no_sums(self._weights), 0

    def note(self) -> None:
        """Add a batch's gradients, or in the second pass its product."""
        self._count += 1
        if self._gradients:
            found = hessian_times(self._weights, self._gradients)
        else:
            grads = {name: one.grad for name, one in self._weights.items()}
            found = {name: one.detach() for name, one in grads.items() if one is not None}
        for name, term in found.items():
            self._sums[name] += term.double()

    def close(self) -> Mapping[str, Tensor]:
        """Weight name -> the product."""
        return {name: total / self._count for name, total in self._sums.items()}


def hessian_times(
    weights: Mapping[str, Tensor], vector: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """The Hessian of the loss times a vector, where the weights' gradients have their graph.

    Args:
        weights: Leaves with `grad`.
        vector: As many numbers as there are weights.

    Returns:
        Weight name -> its part of the product; weights on which no gradient depends are missing.

    Raises:
        MaskError: An operation of the network has no second derivative.
    """
    slopes = {name: one.grad for name, one in weights.items()}
    terms = [
        (slope * vector[name]).sum()
        for name, slope in slopes.items()
        if slope is not None and slope.requires_grad
    ]
    if not terms:
        return {}
    for one in weights.values():
        one.grad = None
    try:
        # Not `autograd.grad`, which passes by what cannot be differentiated, and gives zeros.
        torch.stack(terms).sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
    except RuntimeError as failure:
        raise MaskError(
            "gathering statistics",
            "the second derivative of the loss",
            given=f"none ({text_of(failure)})",
            expected="operations that can be differentiated twice",
            remedy="Choose a criterion of first derivatives, such as taylor; of attention, the "
            "math backend of torch.nn.attention.sdpa_kernel has second derivatives.",
        ) from failure
    found = {name: one.grad for name, one in weights.items()}
    for name, one in weights.items():
        one.grad = slopes[name]
    return {name: one for name, one in found.items() if one is not None}
