from __future__ import annotations

from fractions import Fraction

import torch
from torch import nn

from secateur.pruning.densities import Density, LayerShape, checked_densities, layer_shapes
from secateur.pruning.weights import prunable_weights


def test_layers_of_a_network() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 4), nn.Linear(4, 3))
    found = layer_shapes(prunable_weights(net))
    assert list(found) == ["0.weight", "2.weight", "3.weight"]
    assert [one.shape for one in found.values()] == [(2, 1, 3, 3), (4, 2), (3, 4)]
    assert [one.kind for one in found.values()] == ["conv", "linear", "linear"]
    assert [one.module for one in found.values()] == ["0", "2", "3"]
    assert [one.first for one in found.values()] == [True, False, False]
    assert [one.last for one in found.values()] == [False, False, True]
    assert torch.equal(found["2.weight"].weight, net[2].weight)  # type: ignore[arg-type]


def test_a_decimal_number_is_the_one_that_was_written() -> None:
    found = checked_densities("mine", [LayerShape("a", (1, 1))], [Density(0.3, 0.2)])
    assert found == [(Fraction(3, 10), Fraction(1, 5))]
