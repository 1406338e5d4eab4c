"""A level that is reached while a net is trained: by the cubic schedule, and then exactly."""

from typing import Any

import torch
from torch import nn

from secateur.pruning.alternating import Alternating
from secateur.pruning.criterion import Statistics
from secateur.pruning.groups import Groups
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part, find_method, parts_of
from secateur.spec import MethodSpec
from secateur.study.level_cutter import AlternatingCutter, LevelCutter
from secateur.study.schedules import gradual
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
        gradual(steps, MethodSpec(schedule="gradual", **options)),
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


def test_single_weights_go_by_the_cubic_schedule_and_end_exactly_at_the_level() -> None:
    model = net()
    one = cutter(model, "magnitude", (0.5,), until=0.2, cuts=2)
    # 296 weights; at half of the way 0.5 (1 - 1/8) of them, which is 129.5: the smaller number.
    assert zeros_on_the_way(model, one, 8) == [0, 0, 129, 129, 129, 148, 148, 148]


def test_a_pattern_is_reached_by_weaker_ones() -> None:
    model = net()
    one = LevelCutter(
        parts_of(find_method("magnitude"), MethodSpec(granularity="1:4")),
        (0.75,),
        gradual(8, MethodSpec(schedule="gradual", until=0.5, cuts=4)),
        groups_of=lambda part: groups_of(model, part, EXAMPLE),
        statistics=Statistics(),
    )
    # At 0.43 two of four go (one of the three that the convolution reads), at 0.66 three (two).
    assert zeros_on_the_way(model, one, 5) == [72 + 40, 144 + 60, 204, 204, 204]
    assert (model[4].weight.reshape(-1, 4).count_nonzero(dim=1) == 1).all()


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


def alternating_cutter(model: nn.Module, **known: Any) -> AlternatingCutter:
    """Whole for four steps, cut for two, whole for four, then cut; 296 weights, half of them go."""
    return AlternatingCutter(
        find_method("magnitude").parts,
        (0.5,),
        Alternating(end=10, phases=2),
        groups_of=lambda part: groups_of(model, part, EXAMPLE),
        statistics=Statistics(),
        **known,
    )


def test_a_net_is_whole_and_cut_by_turns_and_cut_at_the_end() -> None:
    model = net()
    zeros = zeros_on_the_way(model, alternating_cutter(model), 12)
    assert zeros == [0, 0, 0, 148, 148, 0, 0, 0, 0, 148, 148, 148]
    assert int((model[0].weight == 0).sum()) + int((model[4].weight == 0).sum()) == 148


def test_what_was_cut_grows_again_when_the_net_is_whole_and_another_cut_is_made() -> None:
    model = net()
    one = alternating_cutter(model)
    zeros_on_the_way(model, one, 5)
    first = one.masks
    assert first is not None
    zeros_on_the_way(model, one, 9)
    grown = model[4].weight.detach()[~first["4.weight"]]
    assert bool((grown != 0).any())
    zeros_on_the_way(model, one, 11)
    assert one.masks != first


def test_the_optimizer_begins_anew_when_the_net_is_whole_again() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    one, known = alternating_cutter(model), []
    one.start(model, [optimizer], 0)
    for step in range(1, 12):
        model(torch.rand(2, 3, 6, 6)).sum().backward()
        optimizer.step()
        one.step(model, [optimizer], step)
        known.append(len(optimizer.state))
    assert known == [4, 4, 4, 4, 4, 0, 4, 4, 4, 4, 4]


def test_a_whole_net_is_whole_within_what_was_cut_before() -> None:
    model = net()
    mask = torch.ones(10, 8, dtype=torch.bool)
    mask[0] = False
    one = alternating_cutter(model, previous=Masks({"4.weight": mask}))
    assert zeros_on_the_way(model, one, 12) == [8] * 3 + [148] * 2 + [8] * 4 + [148] * 3
    assert not model[4].weight[0].any()
