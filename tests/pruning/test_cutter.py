"""Whoever counts the steps: cuts as planned, zeros held in between."""

import pytest
import torch
from torch import nn

from secateur.pruning.cutter import Cutter
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks


class Halves(Cutter):
    """Cuts one more element at each planned step, and notes the steps."""

    def __init__(self, masks: Masks | None = None, schedule: Gradual | None = None) -> None:
        super().__init__(masks, schedule)
        self.planned: list[int] = []

    def cut(self, model: nn.Module, planned: int) -> Masks:
        self.planned.append(planned)
        mask = torch.arange(8) >= len(self.planned)
        return Masks({"weight": mask.reshape(1, 8)}).apply(model)


def trained(cutter: Cutter, steps: int) -> tuple[nn.Linear, list[int]]:
    torch.manual_seed(0)
    net = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    zeros = []
    cutter.start(net, [optimizer], 0)
    for step in range(1, steps + 1):
        net(torch.ones(2, 8)).sum().backward()
        optimizer.step()
        zeros.append(int((net.weight == 0).sum()))
        cutter.step(net, [optimizer], step)
    return net, zeros


def test_cuts_come_when_they_are_planned_and_what_is_gone_stays_gone() -> None:
    cutter = Halves(schedule=Gradual(0.5, end=6, begin=2, every=2))
    net, zeros = trained(cutter, 9)
    assert cutter.planned == [2, 4, 6]
    assert zeros == [0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert cutter.masks is not None
    bits = net.weight.detach()[~cutter.masks["weight"]].view(torch.int32)
    assert not bits.any()


def test_a_planned_step_that_is_passed_by_is_made_up_for_once() -> None:
    cutter = Halves(schedule=Gradual(0.5, end=6, begin=2, every=2))
    net = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in (5, 5, 20, 21):
        cutter.step(net, [optimizer], step)
    assert cutter.planned == [4, 6]


def test_masks_alone_are_held_and_let_go() -> None:
    masks = Masks({"weight": torch.arange(8).reshape(1, 8) > 1})
    cutter = Cutter(masks)
    net, zeros = trained(cutter, 3)
    assert zeros == [2, 2, 2]
    assert cutter.masks is masks
    cutter.stop()
    cutter.stop()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    assert bool((net.weight != 0).all())


def test_what_a_cut_is_must_be_said() -> None:
    with pytest.raises(NotImplementedError):
        Cutter(schedule=Gradual(0.5, end=1)).step(nn.Linear(1, 1), [], 0)
