"""What takes a frozen parameter's place in a network is held at zero, or the user is told."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from secateur.errors import MaskError
from secateur.pruning.masks import Masks
from secateur.pruning.select import cut
from secateur.registry import METHODS
from secateur.verbs.prune import prune


def linear_net() -> tuple[nn.Sequential, Masks]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    return model, cut(model, METHODS["magnitude"].parts, (0.5,)).apply(model)


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    inputs = torch.randn(8, 16, dtype=next(model.parameters()).dtype)
    model(inputs).square().mean().backward()
    optimizer.step()


def assert_zeros(model: nn.Module, masks: Masks) -> None:
    for name, mask in masks.items():
        assert not weight_of(model, name)[~mask].any()


class _PlusOne(nn.Module):
    """A parametrization under which a zero is no zero."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight + 1


class _Half(nn.Module):
    """A parametrization under which a zero stays one."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight * 0.5


def _assign(model: nn.Module) -> None:
    state = {name: torch.randn_like(value) for name, value in model.state_dict().items()}
    model.load_state_dict(state, assign=True)


def _replace_parameter(model: nn.Module) -> None:
    model[0].weight = nn.Parameter(torch.randn(32, 16))


def _replace_layer(model: nn.Module) -> None:
    model[0] = nn.Linear(16, 32)


def _set_data(model: nn.Module) -> None:
    model[0].weight.data = torch.randn(32, 16)


def _refill(model: nn.Module) -> None:
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        nn.init.normal_(parameter)


def _overwrite(model: nn.Module) -> None:
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        model.double()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


CHANGES: dict[str, Callable[[nn.Module], object]] = {
    "a checkpoint, assigned": _assign,
    "a parameter": _replace_parameter,
    "a layer": _replace_layer,
    "its data": _set_data,
    "empty memory, filled again": _refill,
    "parameters overwritten": _overwrite,
    "a parametrization": lambda net: parametrize.register_parametrization(
        net[0], "weight", _Half()
    ),
    "spectral norm": lambda net: parametrizations.spectral_norm(net[0]),
    "weight norm": lambda net: parametrizations.weight_norm(net[0]),
    "weight norm, old": lambda net: nn.utils.weight_norm(net[0]),
    "a compiled part": lambda net: net.__setitem__(0, torch.compile(net[0], backend="eager")),
}


def weight_of(model: nn.Module, name: str) -> Tensor:
    """What a layer computes with, whatever has been put around it."""
    layer: nn.Module = model[int(name[0])]
    value: Tensor = getattr(layer, "_orig_mod", layer).weight
    return value.detach()


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_what_takes_the_place_of_a_frozen_weight_is_held(change: str, anew: bool) -> None:
    model, masks = linear_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=0.1)
    masks.freeze(optimizer)
    step(model, optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        CHANGES[change](model)
    if anew:
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        before = weight_of(model, "0.weight").clone()
        step(model, optimizer)
        assert_zeros(model, masks)
    assert not anew or (weight_of(model, "0.weight") != before)[masks["0.weight"]].any()


@pytest.mark.parametrize("undo", ["new", "old"])
def test_a_weight_that_is_computed_no_more_is_held(undo: str) -> None:
    model, _ = linear_net()
    if undo == "new":
        parametrizations.weight_norm(model[0])
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nn.utils.weight_norm(model[0])
    masks = prune(model, sparsity=0.9)
    masks.freeze(torch.optim.SGD(model.parameters(), 0.01))
    model(torch.randn(8, 16))
    zero = weight_of(model, "0.weight") == 0
    assert zero.all(1).any()  # where a whole row goes its scale is masked, not the row
    if undo == "new":
        parametrize.remove_parametrizations(model[0], "weight")
    else:
        nn.utils.remove_weight_norm(model[0])
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    for _ in range(2):
        step(model, optimizer)
        assert torch.equal(weight_of(model, "0.weight") == 0, zero)


def test_a_parametrization_that_keeps_no_zeros_says_so() -> None:
    model, masks = linear_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    masks.freeze(optimizer)
    parametrize.register_parametrization(model[0], "weight", _PlusOne())
    with pytest.raises(MaskError, match=r"0\.weight is a weight that is computed since"):
        step(model, optimizer)


def test_a_layer_of_another_shape_says_so_and_one_that_is_gone_is_nothing() -> None:
    model, masks = linear_net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    frozen = masks.freeze(optimizer)
    model[2] = nn.Identity()
    step(model, optimizer)
    assert_zeros(model, Masks({"0.weight": masks["0.weight"]}))
    model[2] = nn.Linear(32, 7)
    with pytest.raises(MaskError, match=r"2\.weight is of shape \(7, 32\) by now"):
        step(model, optimizer)
    frozen.remove()
    step(model, optimizer)


def test_what_took_a_frozen_weights_place_is_let_go_with_it() -> None:
    model, masks = linear_net()
    frozen = masks.freeze(torch.optim.SGD(model.parameters(), 0.01))
    _replace_parameter(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    step(model, optimizer)
    assert_zeros(model, masks)
    frozen.remove()
    step(model, optimizer)
    assert model[0].weight[~masks["0.weight"]].any()


def test_a_weight_that_trains_only_later_is_held() -> None:
    model, masks = linear_net()
    model[0].weight.requires_grad_(False)
    masks.freeze(torch.optim.SGD(model[2].parameters(), 0.1))
    model[0].weight.requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(2):
        step(model, optimizer)
        assert_zeros(model, masks)
