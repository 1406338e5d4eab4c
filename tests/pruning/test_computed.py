"""Weights that a layer computes count, and are cut, as they come out."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import secateur
from secateur.errors import MaskError
from secateur.pruning.computed import computed_weights


def old_weight_norm(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(layer)


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def doubled(layer: nn.Module) -> nn.Module:
    nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    return layer


def pruned(layer: nn.Module) -> nn.Module:
    prune.l1_unstructured(layer, "weight", amount=0.25)
    return layer


CUT = {
    "weight norm": parametrizations.weight_norm,
    "old weight norm": old_weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "a parametrization of one's own": doubled,
    "torch.nn.utils.prune": pruned,
}


def net(change) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(change(nn.Linear(16, 32)), nn.ReLU(), change(nn.Linear(32, 4)))


@pytest.mark.parametrize("way", CUT)
def test_what_comes_out_is_cut_by_exactly_what_was_asked(way: str) -> None:
    model = net(CUT[way])
    secateur.prune(model, "magnitude", sparsity=0.5)
    model.eval()(torch.randn(2, 16))
    zeros = [int((model[place].weight == 0).sum()) for place in (0, 2)]
    assert sum(zeros) == 320
    assert secateur.sparsity(model).prunable == (320, 640)


def test_zeros_hold_through_training_under_weight_norm() -> None:
    model = net(parametrizations.weight_norm)
    masks = secateur.prune(model, "magnitude", sparsity=0.5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    masks.freeze(optimizer)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 16)).square().mean().backward()
        optimizer.step()
    assert secateur.sparsity(model).prunable == (320, 640)


def test_a_weight_whose_ingredient_cannot_be_masked_is_refused_with_the_remedy() -> None:
    model = net(parametrizations.orthogonal)
    with pytest.raises(MaskError, match="remove_parametrizations"):
        secateur.prune(model, "magnitude", sparsity=0.5)


def test_filters_of_normed_convolutions_are_ranked_by_what_they_compute() -> None:
    torch.manual_seed(0)
    norm = parametrizations.weight_norm
    model = nn.Sequential(norm(nn.Conv1d(4, 8, 3)), nn.ReLU(), nn.Conv1d(8, 2, 1))
    with torch.no_grad():
        model[0].parametrizations.weight.original0[:4] *= 0.01
    x = torch.randn(2, 4, 9)
    masks = secateur.prune(model, "l1-filter", sparsity=0.5, example_inputs=x)
    assert (model[0].weight == 0).flatten(1).all(1).tolist() == [True] * 4 + [False] * 4
    assert secateur.compact(model, masks, x)[2].in_channels == 4


def test_ingredients_are_known_by_name() -> None:
    (one,) = computed_weights(old_weight_norm(nn.Linear(2, 3)))
    assert list(one.ingredients) == ["weight_g", "weight_v"]
    assert one.masked_by() == "weight_v"


def test_where_a_whole_row_goes_its_scale_goes() -> None:
    model = net(parametrizations.weight_norm)
    with torch.no_grad():
        model[0].parametrizations.weight.original0[:8] *= 1e-3
    masks = secateur.prune(model, "magnitude", sparsity=0.5)
    assert model(torch.randn(2, 16)).isfinite().all()
    assert (model[0].weight[:8] == 0).all()
    assert secateur.sparsity(model).prunable == (320, 640)
    assert "0.parametrizations.weight.original0" in masks
