"""Computed weights: what a layer multiplies with is made from parameters of another name.

Weight norm, spectral norm, `torch.nn.utils.prune` and every parametrization keep *ingredients*
and compute the weight from them, at each pass. What counts is the weight that comes out. It can
be cut where one ingredient has its shape and a zero there is a zero in the weight; that is tried,
not known by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from secateur.foundation.evaluation_mode import evaluation_mode

_PATTERNS = 2


@dataclass(frozen=True)
class Computed:
    """A weight of one module that is computed.

    Attributes:
        name: The attribute that the module reads: `weight`.
        ingredients: The parameters that it is computed from, by their names within the module.
        remedy: How to make it an ordinary parameter.
        compute: From replaced ingredients, by name, to the weight.
    """

    name: str
    ingredients: Mapping[str, nn.Parameter]
    remedy: str
    compute: Callable[[Mapping[str, Tensor]], Tensor]

    def value(self, replaced: Mapping[str, Tensor] | None = None) -> Tensor:
        """The weight as the layer would compute it, without a trace in autograd."""
        with torch.no_grad():
            return self.compute(replaced or {}).detach()

    def masked_by(self) -> str | None:
        """The ingredient whose zeros are the weight's zeros; None if there is none."""
        value = self.value()
        for name, ingredient in self.ingredients.items():
            if ingredient.shape == value.shape and self._keeps_zeros(name, ingredient):
                return name
        return None

    def masks(self, own: str, kept: Tensor) -> dict[str, Tensor]:
        """Masks of the ingredients that make exactly these elements of the weight zero.

        A norm of nothing is no number: where a slice would go whole, its scale goes instead.

        Args:
            own: The ingredient that is masked, as `masked_by` gives it.
            kept: bool, of the weight's shape, True where kept.

        Returns:
            By the ingredients' names within the module.
        """
        masked = self.ingredients[own].detach().masked_fill(~kept, 0)
        lost = ~self.value({own: masked}).isfinite()
        if not lost.any():
            return {own: kept}
        for name, scale in self.ingredients.items():
            pairs = zip(scale.shape, kept.shape, strict=False)
            if name == own or scale.ndim != kept.ndim or any(n not in (1, m) for n, m in pairs):
                continue
            axes = [axis for axis, size in enumerate(scale.shape) if size == 1]
            gone = lost.amax(axes, keepdim=True) if axes else lost
            return {own: kept | gone, name: ~gone.expand(scale.shape).clone()}
        return {own: kept}

    def _keeps_zeros(self, name: str, ingredient: Tensor) -> bool:
        generator = torch.Generator().manual_seed(0)
        for _ in range(_PATTERNS):
            zero = (torch.rand(ingredient.shape, generator=generator) < 0.5).to(ingredient.device)
            zeroed = ingredient.detach().masked_fill(zero, 0)
            # A zero of the ingredient must show whatever the others are.
            others = {
                other: torch.where(one == 0, 1, one.detach())
                for other, one in self.ingredients.items()
                if other != name
            }
            value = self.value({**others, name: zeroed})
            # A norm of nothing is no number; that says nothing of the zeros beside it.
            told = zero & ~value.isnan() if value.shape == zero.shape else zero & False
            if not told.any() or bool((value[told] != 0).any()):
                return False
        return True


def computed_weights(module: nn.Module) -> Iterator[Computed]:
    """The weights that a module computes from ingredients.

    Example:
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
        >>> [(one.name, list(one.ingredients)) for one in computed_weights(layer)]
        [('weight', ['parametrizations.weight.original0', 'parametrizations.weight.original1'])]
    """
    if parametrize.is_parametrized(module):
        for name, made in module.parametrizations.items():  # type: ignore[operator, union-attr]
            yield _parametrized(name, made)
    for hook in module._forward_pre_hooks.values():
        found = _hooked(module, hook)
        if found is not None:
            yield found


def values_in_use(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every parameter once, detached; in the place of one that masks a computed weight, that one.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> _ = nn.utils.prune.random_unstructured(layer, "weight", amount=1)
        >>> {name: int((value == 0).sum()) for name, value in values_in_use(layer)}["weight_orig"]
        1
    """
    masked: dict[int, Tensor] = {}
    for module in model.modules():
        for computed in computed_weights(module):
            name = computed.masked_by()
            if name is not None:
                masked[id(computed.ingredients[name])] = computed.value()
    for name, parameter in model.named_parameters():
        yield name, masked.get(id(parameter), parameter.detach())


def _parametrized(name: str, made: Any) -> Computed:
    prefix = f"parametrizations.{name}."
    own = dict(made.named_parameters(recurse=False))

    def compute(replaced: Mapping[str, Tensor]) -> Tensor:
        # In training mode spectral norm would go on with its power iteration.
        with evaluation_mode(made):
            short = {word.removeprefix(prefix): value for word, value in replaced.items()}
            value: Tensor = torch.func.functional_call(made, short, ())
            return value

    return Computed(
        name,
        {prefix + word: parameter for word, parameter in own.items()},
        f"torch.nn.utils.parametrize.remove_parametrizations(layer, {name!r})",
        compute,
    )


def _hooked(module: nn.Module, hook: Any) -> Computed | None:
    """Of the older utilities, which compute the weight in a hook before each pass."""
    call: Any
    words: tuple[str, ...]
    if isinstance(hook, WeightNorm):
        name, words = hook.name, ("_g", "_v")
        call = hook.compute_weight
        remedy = "torch.nn.utils.remove_weight_norm(layer)"
    elif isinstance(hook, SpectralNorm):
        name, words = hook.name, ("_orig",)
        call = lambda held: hook.compute_weight(held, do_power_iteration=False)  # noqa: E731
        remedy = "torch.nn.utils.remove_spectral_norm(layer)"
    elif isinstance(hook, BasePruningMethod):
        name, words, call = hook._tensor_name, ("_orig",), hook.apply_mask
        remedy = f"torch.nn.utils.prune.remove(layer, {hook._tensor_name!r})"
    else:
        return None
    tensors = dict(module.named_parameters(recurse=False)) | dict(
        module.named_buffers(recurse=False)
    )

    def compute(replaced: Mapping[str, Tensor]) -> Tensor:
        value: Tensor = call(SimpleNamespace(**{**tensors, **replaced}))
        return value

    found = {name + word: module._parameters.get(name + word) for word in words}
    ingredients = {word: parameter for word, parameter in found.items() if parameter is not None}
    return Computed(name, ingredients, remedy, compute)
