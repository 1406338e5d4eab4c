from __future__ import annotations

from fractions import Fraction

import torch
from torch import nn

import secateur
from secateur.pruning.allocations.uniform import uniform
from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import Density, LayerShape


def test_every_layer_has_the_same_density() -> None:
    layers = [LayerShape("a", (2, 3)), LayerShape("b", (4, 5, 3, 3), "conv")]
    assert uniform(layers, Fraction(1, 3), Statistics()) == [Density(1), Density(1)]


def test_its_total_is_exact_where_the_ranking_layer_rounds_in_each() -> None:
    def build() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Linear(5, 1) for _ in range(6)))

    # 1.5 of 5 weights go in each layer: one by itself, nine of thirty together.
    assert secateur.prune(build(), sparsity=0.3, ranking="layer").zeros == 6
    masks = secateur.prune(build(), sparsity=0.3, allocation="uniform")
    assert [int((~mask).sum()) for mask in masks.values()] == [1, 1, 1, 2, 2, 2]
