from __future__ import annotations

import pytest
import torch
from torch import nn

from secateur.errors import ModelError
from secateur.pruning.weights import Scope, kind_of, prunable_weights


class Every(nn.Module):
    """One of each kind of layer, nested."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.block = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2))
        self.up = nn.ConvTranspose2d(2, 3, 2)
        self.volume = nn.Conv3d(1, 2, 1, bias=False)
        self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)
        self.memory = nn.LSTM(4, 3, proj_size=2)
        self.pair = nn.Bilinear(2, 3, 4)
        self.norm = nn.LayerNorm([3, 4])
        self.fc = nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(2, 2))


NAMES = {
    "conv": ["block.0.weight", "up.weight", "volume.weight"],
    "non-conv": [
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "memory.weight_ih_l0",
        "memory.weight_hh_l0",
        "memory.weight_hr_l0",
        "pair.weight",
        "fc.weight",
    ],
}
NAMES["all"] = NAMES["conv"] + NAMES["non-conv"]


@pytest.mark.parametrize("scope", ["all", "conv", "non-conv"])
def test_names_by_scope_in_the_order_of_the_modules(scope: Scope) -> None:
    assert list(prunable_weights(Every(), scope)) == NAMES[scope]


def test_each_weight_knows_its_layer_and_is_live() -> None:
    model = Every()
    weights = prunable_weights(model)
    assert weights["block.0.weight"].parameter is model.block[0].weight
    assert weights["block.0.weight"].module == "block.0"
    assert weights["block.0.weight"].kind == "conv"
    assert weights["fc.weight"].kind == "linear"
    for name, weight in weights.items():
        assert weight.name == name
        assert name.startswith(weight.module + ".")
        assert dict(model.named_parameters())[name] is weight.parameter


def test_a_tied_weight_counts_once_under_its_first_name() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    assert list(prunable_weights(model)) == ["0.weight", "1.weight"]


def test_the_model_itself_may_be_the_layer() -> None:
    weights = prunable_weights(nn.Linear(2, 2))
    assert list(weights) == ["weight"]
    assert weights["weight"].module == ""


@pytest.mark.parametrize(
    ("model", "scope"),
    [
        (nn.Sequential(nn.ReLU()), "all"),
        (nn.Embedding(3, 3), "all"),
        (nn.Linear(2, 2), "conv"),
        (nn.Conv2d(1, 1, 1), "non-conv"),
    ],
)
def test_nothing_to_prune_is_an_error(model: nn.Module, scope: Scope) -> None:
    with pytest.raises(ModelError, match=f"scope '{scope}'"):
        prunable_weights(model, scope)


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Conv2d(1, 1, 1), "conv"),
        (nn.ConvTranspose1d(1, 1, 1), "conv"),
        (nn.Linear(1, 1), "linear"),
        (nn.GRU(1, 1), "linear"),
        (nn.BatchNorm2d(1), None),
        (nn.Embedding(1, 1), None),
        (nn.Sequential(nn.Linear(1, 1)), None),
    ],
)
def test_kinds(module: nn.Module, kind: str | None) -> None:
    assert kind_of(module) == kind
