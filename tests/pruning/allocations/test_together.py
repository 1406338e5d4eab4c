from __future__ import annotations

import torch
from torch import nn

import secateur


def test_global_is_the_ranking_of_all_layers_together() -> None:
    def build() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3))

    example = torch.ones(1, 1, 6, 6)
    for method in ("magnitude", "l1-filter"):
        one = secateur.prune(
            build(), method, sparsity=0.5, ranking="global", example_inputs=example
        )
        other = secateur.prune(
            build(), method, sparsity=0.5, allocation="global", example_inputs=example
        )
        assert one == other
