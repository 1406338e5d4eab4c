from __future__ import annotations

import pytest
import torch
from torch import nn

from secateur.errors import MaskError
from secateur.integrations.pruner import Pruner
from secateur.pruning.gradual import Gradual


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))


def test_a_pattern_is_reached_by_weaker_ones() -> None:
    model = net()
    pruner = Pruner(sparsity=Gradual(0.75, end=3), granularity="1:4")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    kept = []
    for step in range(4):
        pruner.step(model, [optimizer], step)
        assert pruner.masks is not None
        groups = pruner.masks["0.weight"].reshape(-1, 4).sum(dim=1)
        assert (groups == groups[0]).all()
        kept.append(int(groups[0]))
    assert kept == [4, 2, 1, 1]
    pruner.stop()


def test_a_pattern_needs_no_sparsity() -> None:
    pruner = Pruner(granularity="2:4")
    model = net()
    pruner.step(model, [torch.optim.SGD(model.parameters(), 0.1)], 0)
    assert pruner.masks is not None
    assert pruner.masks.zeros == pruner.masks.total // 2
    pruner.stop()


@pytest.mark.parametrize("sparsity", [0.9, Gradual(0.4, end=3)])
def test_a_schedule_to_another_sparsity_is_refused_before_it_trains(
    sparsity: float | Gradual,
) -> None:
    with pytest.raises(MaskError, match=r"expected 0\.5: 2 of every 4"):
        Pruner(sparsity=sparsity, granularity="2:4")
