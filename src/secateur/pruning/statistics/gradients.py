"""Gradients of the loss, and their squares, each the mean over batches."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from secateur.pruning.weights import Weight


class Gradients:
    """The mean over batches of the loss's gradient, of each weight's shape."""

    backward = True

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        del model
        self._weights = {name: weight.parameter for name, weight in weights.items()}
        self._sums = {
            name: torch.zeros_like(parameter, dtype=torch.float64, requires_grad=False)
            for name, parameter in self._weights.items()
        }
        self._count = 0

    def note(self) -> None:
        """Add the gradients of a batch."""
        self._count += 1
        for name, parameter in self._weights.items():
            if parameter.grad is not None:
                self._sums[name] += self._term(parameter.grad.to_dense().double())

    def close(self) -> Mapping[str, Tensor]:
        """Weight name -> the mean; zero for a weight that no batch reaches."""
        return {name: total / self._count for name, total in self._sums.items()}

    def _term(self, gradient: Tensor) -> Tensor:
        return gradient


class SquaredGradients(Gradients):
    """The mean over batches of the squared gradient of each batch's mean loss."""

    def _term(self, gradient: Tensor) -> Tensor:
        return gradient.square()
