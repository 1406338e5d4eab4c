from __future__ import annotations

import pytest
from torch import nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.chosen_layers import ChosenLayers
from secateur.pruning.layers import Layers


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Embedding(5, 4), nn.Linear(4, 8), nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 2)
    )


def test_the_first_and_the_last_layer_have_patterns_of_their_own() -> None:
    model = net()
    chosen = ChosenLayers(model, Layers(exclude=(":first", ":last")))
    assert set(chosen.excluded) == {"1.weight", "1.bias", "4.weight", "4.bias"}


def test_a_net_of_one_layer_has_one_end() -> None:
    model = nn.Linear(2, 2)
    assert set(ChosenLayers(model, Layers(exclude=(":last",))).excluded) == {"weight"}


def test_the_last_layer_is_guarded_and_the_others_give() -> None:
    model = net()
    nn.init.constant_(model[4].weight, 1e-3)  # the smallest: without a guard they go first
    masks = secateur.prune(model, sparsity=0.5, max_sparsity={":last": 0.25})
    assert int((~masks["4.weight"]).sum()) == 4
    assert masks.zeros == (32 + 64 + 16) // 2


def test_a_guard_that_comes_after_a_pattern_for_all_is_refused() -> None:
    with pytest.raises(MaskError, match="matches only what a pattern before it matches"):
        secateur.prune(net(), sparsity=0.5, max_sparsity={"*": 0.9, ":last": 0.25})
