"""Gradients of the loss, and their squares, each the mean over batches."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from secateur.pruning.weights import Weight


def no_sums(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """float64 zeros of each weight's shape, to add up in."""
    return {
        name: torch.zeros_like(one, dtype=torch.float64, requires_grad=False)
        for name, one in weights.items()
    }


class Gradients:
    """The mean over batches of the loss's gradient, of each weight's shape."""

    backward = True

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        del model
        self._weights = {name: weight.parameter for name, weight in weights.items()}
        self._sums = no_sums(self._weights)
        self._count = 0

    def note(self) -> None:
        """Add the gradients of a batch."""
        self._count += 1
        for name, parameter in self._weights.items():
            if parameter.grad is not None:
                self._sums[name] += self._term(parameter.grad.detach().to_dense().double())

    def close(self) -> Mapping[str, Tensor]:
        """Weight name -> the mean; zero for a weight that no batch reaches."""
        return {name: total / self._count for name, total in self._sums.items()}

    def _term(self, gradient: Tensor) -> Tensor:
        return gradient


class SquaredGradients(Gradients):
    """The mean over batches of the squared gradient of each batch's mean loss."""

    def _term(self, gradient: Tensor) -> Tensor:
        return gradient.square()


class GateGradients(Gradients):
    """Of each weight `[outputs]`: the mean over batches of the squared gradient of a gate.

    The gate is a factor of 1 on what an output's weights compute; its gradient is the sum of
    weight times gradient over them.
    """

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        super().__init__(weights, model)
        self._axes = {
            name: int(getattr(model.get_submodule(weight.module), "transposed", False))
            for name, weight in weights.items()
        }
        self._sums = {
            name: self._by_output(name, total).sum(dim=1) for name, total in self._sums.items()
        }

    def note(self) -> None:
        """Add the squared gradients of a batch."""
        self._count += 1
        for name, parameter in self._weights.items():
            if parameter.grad is not None:
                product = parameter.grad.detach().to_dense().double() * parameter.detach().double()
                self._sums[name] += self._by_output(name, product).sum(dim=1).square()

    def _by_output(self, name: str, of_weights: Tensor) -> Tensor:
        return of_weights.movedim(self._axes[name], 0).flatten(1)


class ExampleGradients(SquaredGradients):
    """The mean over examples of the squared gradient of each example's own loss."""

    each_example = True
