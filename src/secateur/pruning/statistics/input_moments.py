"""Input moments: how the inputs of a layer vary together, for what makes up for weights cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from secateur.pruning.layer_rows import examples_in, input_rows, places_of, runs_torchs_code
from secateur.pruning.weights import Weight

ROWS = 4096
"""Rows of a batch that are looked at, at least: more tell little more."""
ROWS_A_WEIGHT = 4
"""The same, for each weight of an output, where that is more."""
LARGEST = 20_000
"""Weights of an output, at most: their moments are as many numbers squared, of 8 bytes."""

_PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class InputMoments:
    """Of each linear layer and convolution `[groups, n, n]`: the mean of `x x^T`.

    `x` are the `n` inputs that the weights of one output multiply, in the order of the weight: of a
    linear layer a row of its input, of a convolution the patch at a place, padding and all, of each
    of its groups. The mean is over all examples and places, or where a batch has more than `ROWS`
    of them, and more than `ROWS_A_WEIGHT` times `n`, over so many that are drawn. But for a factor
    it is the Hessian `2 X X^T` of the squared error of the layer's output, alike for each output.

    A weight that several such layers share has the mean over the inputs of all. Left out are
    weights that are computed, complex, or that another kind of layer has, too, and layers that no
    batch reaches, whose forward pass is their own, or that have more than `LARGEST` weights an
    output.
    """

    backward = False

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        self._sums: dict[str, Tensor] = {}
        self._rows: dict[str, int] = {}
        self._drawn = torch.Generator().manual_seed(torch.initial_seed())
        self._handles = [
            # What the layer multiplies, and not what a hook makes of it afterwards.
            module.register_forward_hook(self._watch(name), with_kwargs=True, prepend=True)
            for name, module in _watched(weights, model)
        ]

    def note(self) -> None:
        """Nothing is left to do after a batch: the hooks have seen it."""

    def close(self) -> Mapping[str, Tensor]:
        """Weight name -> moments, float64; layers that no batch reaches are missing."""
        for handle in self._handles:
            handle.remove()
        return {name: total.div_(self._rows[name]) for name, total in self._sums.items()}

    def _watch(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, named: dict[str, Any], output: Tensor) -> None:
            inputs = args[0] if args else named["input"]
            if output.numel():
                self._add(name, _rows(module, inputs.detach(), output.detach(), self._drawn))

        return hook

    def _add(self, name: str, rows: Tensor) -> None:
        """Add rows, `[rows, groups, n]`."""
        by_group = rows.transpose(0, 1)
        total = (by_group.transpose(1, 2) @ by_group).double()
        self._sums[name] = total.add_(self._sums[name]) if name in self._sums else total
        self._rows[name] = self._rows.get(name, 0) + rows.shape[0]


def _watched(weights: Mapping[str, Weight], model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers that multiply their input with a weight, for the weights that only such have."""
    owners: dict[int, list[nn.Module]] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(module)
    for name, weight in weights.items():
        if weight.parameter.is_complex() or weight.parameter[0].numel() > LARGEST:
            continue
        modules = owners.get(id(weight.parameter), [])
        if all(isinstance(one, _PRODUCTS) and runs_torchs_code(one) for one in modules):
            yield from ((name, module) for module in modules)


def _rows(module: nn.Module, inputs: Tensor, output: Tensor, drawn: torch.Generator) -> Tensor:
    """What an output's weights multiply, at all places of a batch or at some."""
    weights = module.weight[0].numel()  # type: ignore[index]
    wanted = max(ROWS, ROWS_A_WEIGHT * weights)
    each = -(-wanted // examples_in(module, output))
    places = places_of(module, output, drawn, each)
    rows = input_rows(module, inputs, output, places)
    return rows if rows.dtype == torch.float64 else rows.float()
