from __future__ import annotations

import pytest
import torch
from torch import nn

from secateur.training.optimizer import build_optimizer
from secateur.training_settings import TrainingSpec


def build(**settings: object) -> torch.optim.Optimizer:
    return build_optimizer(nn.Linear(2, 2), TrainingSpec(**settings), 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)],
)
def test_settings_reach_the_optimizer(name: str, kind: type[torch.optim.Optimizer]) -> None:
    optimizer = build(optimizer=name, weight_decay=0.25, momentum=0.75)
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert group["lr"] == 0.5
    assert group["weight_decay"] == 0.25
    assert group["fused"] is True
    assert group.get("momentum", 0.75) == 0.75


def test_a_tied_parameter_is_there_once_and_a_fixed_one_not() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    model[1].bias.requires_grad_(False)
    (group,) = build_optimizer(model, TrainingSpec(), 0.1).param_groups
    assert [id(p) for p in group["params"]] == [id(model[0].weight), id(model[0].bias)]


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_fused_steps_are_the_plain_ones(name: str) -> None:
    torch.manual_seed(0)
    layer, twin = nn.Linear(5, 3), nn.Linear(5, 3)
    twin.load_state_dict(layer.state_dict())
    fused = build_optimizer(layer, TrainingSpec(optimizer=name, weight_decay=0.01), 0.1)  # type: ignore[arg-type]
    chosen = ("lr", "weight_decay", "momentum")
    settings = {key: fused.defaults[key] for key in chosen if key in fused.defaults}
    plain = type(fused)(twin.parameters(), **settings)
    for _ in range(3):
        for net, optimizer in ((layer, fused), (twin, plain)):
            optimizer.zero_grad()
            net(torch.ones(2, 5)).square().sum().backward()
            optimizer.step()
    assert torch.allclose(layer.weight, twin.weight, rtol=1e-5)
