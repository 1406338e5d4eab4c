"""A level that is reached while a net is trained: by the cubic schedule, and then exactly."""

from typing import Any

import pytest
import torch
from torch import nn

from secateur.pruning.criterion import Statistics
from secateur.pruning.groups import Groups
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part, find_method
from secateur.spec import MethodSpec
from secateur.study.level_cutter import LevelCutter, gradual
from secateur.verbs.units import groups_of

EXAMPLE = torch.zeros(2, 3, 6, 6)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    )


def cutter(
    model: nn.Module, method: str, level: tuple[Any, ...], steps: int = 30, **options: Any
) -> LevelCutter:
    traced: list[Part] = []

    def of(part: Part) -> Groups:
        traced.append(part)
        return groups_of(model, part, EXAMPLE)

    parts = find_method(method).parts
    made = LevelCutter(
        parts,
        level,
        steps,
        MethodSpec(schedule="gradual", **options),
        groups_of=of,
        statistics=Statistics(),
    )
    assert traced == [part for part in parts if part.cuts_channels]
    return made


def zeros_on_the_way(model: nn.Module, one: LevelCutter, steps: int) -> list[int]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    found = []
    one.start(model, [optimizer], 0)
    for step in range(1, steps + 1):
        model(torch.rand(2, 3, 6, 6)).sum().backward()
        optimizer.step()
        one.step(model, [optimizer], step)
        found.append(0 if one.masks is None else one.masks.zeros)
    return found


@pytest.mark.parametrize(
    ("options", "end", "every"),
    [
        ({}, 200, 10),
        ({"until": 0.5}, 150, 7),
        ({"until": 1.0, "cuts": 3}, 300, 100),
        ({"until": 0.0}, 0, 1),
        ({"cuts": 1000}, 200, 1),
    ],
)
def test_when_the_cuts_are_made(options: dict[str, Any], end: int, every: int) -> None:
    plan = gradual(300, MethodSpec(schedule="gradual", **options))
    assert (plan.begin, plan.end, plan.every) == (0, end, every)


def test_single_weights_go_by_the_cubic_schedule_and_end_exactly_at_the_level() -> None:
    model = net()
    one = cutter(model, "magnitude", (0.5,), until=0.2, cuts=2)
    # 296 weights; at half of the way 0.5 (1 - 1/8) of them, which is 129.5: the smaller number.
    assert zeros_on_the_way(model, one, 8) == [0, 0, 129, 129, 129, 148, 148, 148]


def test_channels_go_whole() -> None:
    model = net()
    one = cutter(model, "l1-filter", (0.5,), until=0.2, cuts=2)
    zeros_on_the_way(model, one, 6)
    gone = (model[0].weight == 0).flatten(1).all(1)
    assert int(gone.sum()) == 4
    assert not model[0].bias.detach()[gone].view(torch.int32).any()


def test_each_part_and_each_layer_rises_to_its_own_share() -> None:
    model = net()
    one = cutter(model, "combined", (0.25, 0.75), until=0.1)
    zeros_on_the_way(model, one, 4)
    assert int((model[0].weight == 0).flatten(1).all(1).sum()) == 2
    model = net()
    one = cutter(model, "magnitude", ((("0", 0.25), ("4", 0.75)),), until=0.1)
    zeros_on_the_way(model, one, 4)
    assert [int((model[place].weight == 0).sum()) for place in (0, 4)] == [54, 60]


def test_what_was_cut_before_stays_cut_from_the_first_step_on() -> None:
    model = net()
    one = cutter(model, "magnitude", (0.5,), until=0.5, cuts=1)
    mask = torch.ones(10, 8, dtype=torch.bool)
    mask[0] = False
    one.masks = Masks({"4.weight": mask})
    zeros = zeros_on_the_way(model, one, 20)
    assert zeros[0] == 8
    assert zeros[-1] == 148
    assert not model[4].weight[0].any()
