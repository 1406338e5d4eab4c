from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.allocations.uniform_plus import uniform_plus
from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import LayerShape
from secateur.pruning.layer_counts import kept_counts

CONV, MIDDLE, FC = (4, 1, 5, 5), (20, 50), (10, 20)  # 100, 1000 and 200 weights


def test_densities_by_hand() -> None:
    layers = [
        LayerShape("conv", CONV, "conv", first=True),
        LayerShape("middle", MIDDLE),
        LayerShape("fc", FC, last=True),
    ]
    found = uniform_plus(layers, Fraction(1, 10), Statistics())
    assert [(one.proportion, one.least) for one in found] == [(1, 1), (1, 0), (1, Fraction(1, 5))]


def test_counts_by_hand() -> None:
    shapes = {"conv": CONV, "middle": MIDDLE, "fc": FC}
    # Half of 1300 is 650: all 100 of the first, and 550 of 1200 in proportion.
    assert kept_counts(shapes, 0.5, "uniform+") == {"conv": 100, "middle": 458, "fc": 92}
    # A tenth is 130 + 60 more: a fifth of the last stays, and what is left is the middle's.
    assert kept_counts(shapes, 0.85, "uniform+") == {"conv": 100, "middle": 55, "fc": 40}
    with pytest.raises(MaskError, match=r"leaves 130 weights, fewer than the 141 .* \(conv, fc\)"):
        kept_counts(shapes, 0.9, "uniform+")


def test_a_first_linear_layer_and_a_last_convolution_are_not_spared() -> None:
    assert kept_counts({"a": (10, 10), "b": (2, 10, 5, 1)}, 0.9, "uniform+") == {"a": 10, "b": 10}


def test_first_and_last_are_those_of_the_network_whatever_takes_part() -> None:
    def build() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 5), nn.ReLU(), nn.Conv2d(4, 5, 2), nn.Flatten(), nn.Linear(5, 20)
        )

    masks = secateur.prune(build(), sparsity=0.5, allocation="uniform+")
    assert (masks["0.weight"].sum(), masks["2.weight"].sum(), masks["4.weight"].sum()) == (
        *(100, 18, 22),
    )
    # The first layer is left out: nothing else takes its place.
    masks = secateur.prune(build(), sparsity=0.5, allocation="uniform+", exclude="0")
    assert (masks["2.weight"].sum(), masks["4.weight"].sum()) == (40, 50)
    # Filters of the convolutions: the last layer is in another scope.
    masks = secateur.prune(
        build(),
        "l1-filter",
        sparsity=0.2,
        allocation="uniform+",
        example_inputs=torch.ones(1, 1, 6, 6),
        protected=0.0,
    )
    assert bool(masks["0.weight"].all())
    assert int(masks["2.weight"].sum()) == 48
