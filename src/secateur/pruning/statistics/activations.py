"""Activations: how large each input of a layer is, as the root of its mean square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from secateur.pruning.channel_axis import channel_axis
from secateur.pruning.weights import Weight

# Layers whose weight multiplies their one input, so what it multiplies can be seen from outside.
WATCHED: tuple[type[nn.Module], ...] = (
    nn.Linear,
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


class Activations:
    """Of each linear layer and convolution: `[inputs]`, the root mean square of each input.

    Over all examples and places, as Wanda needs it (Sun et al. 2023, arXiv 2306.11695) but for
    its factor, which is the same for all inputs. The inputs are those of one group of filters
    times the groups, in the order of the layer's input channels. Other layers are left out, since
    what is passed to them is not what each of their weights multiplies: a recurrent layer's
    `weight_hh` reads its state, and attention's `k_proj_weight` reads the keys.
    """

    backward = False

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._handles = [
            model.get_submodule(weight.module).register_forward_pre_hook(
                self._watch(name), with_kwargs=True
            )
            for name, weight in weights.items()
            if isinstance(model.get_submodule(weight.module), WATCHED)
        ]

    def note(self) -> None:
        """Nothing is left to do after a batch: the hooks have seen it."""

    def close(self) -> Mapping[str, Tensor]:
        """Weight name -> root mean squares; layers that no batch reaches are missing."""
        for handle in self._handles:
            handle.remove()
        return {name: (one / self._counts[name]).sqrt() for name, one in self._sums.items()}

    def _watch(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            given = inputs[0] if inputs else named.get("input")
            if not isinstance(given, Tensor):
                return
            source = given.detach().double()
            axis = channel_axis(module, source)
            total = source.square().sum([one for one in range(source.dim()) if one != axis])
            self._sums[name] = self._sums.get(name, torch.zeros_like(total)) + total
            self._counts[name] = self._counts.get(name, 0) + source.numel() // total.numel()

        return hook


class InputNorms(Activations):
    """The same root mean squares, laid out in each weight's shape: that of what it multiplies."""

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        super().__init__(weights, model)
        self._layers = {
            name: (model.get_submodule(weight.module), weight.parameter.shape)
            for name, weight in weights.items()
        }

    def close(self) -> Mapping[str, Tensor]:
        """Weight name -> root mean squares; layers that no batch reaches are missing."""
        found = super().close()
        return {name: _laid_out(*self._layers[name], sizes) for name, sizes in found.items()}


def _laid_out(module: nn.Module, shape: torch.Size, sizes: Tensor) -> Tensor:
    """From one number an input to one a weight, without a copy where none is needed."""
    if isinstance(module, nn.Linear):
        return sizes.expand(shape)
    places = (1,) * (len(shape) - 2)
    if getattr(module, "transposed", False):
        return sizes.reshape(-1, 1, *places).expand(shape)
    groups = int(module.groups)  # type: ignore[arg-type]
    by_group = sizes.reshape(groups, 1, shape[1], *places)
    return by_group.expand(groups, shape[0] // groups, *shape[1:]).reshape(shape)
