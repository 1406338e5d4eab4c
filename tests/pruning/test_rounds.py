from __future__ import annotations

import pytest
import torch
from torch import nn

import secateur
from secateur.pruning.masks import Masks
from secateur.pruning.rounds import cut_in_rounds


def test_the_exponential_schedule_by_hand() -> None:
    """A sixteenth is left after four rounds: a half, a quarter, an eighth before."""
    asked = []

    def cut(net: nn.Module, level: object, previous: Masks | None) -> Masks:
        asked.append((level, None if previous is None else previous.zeros))
        return Masks({"weight": torch.arange(2).reshape(1, 2) >= min(1, len(asked) - 1)})

    net = nn.Linear(2, 1)
    before = net.weight.detach().clone()
    cut_in_rounds(net, [0.9375, (("fc", 0.9375),)], 4, None, cut)
    assert asked == [
        ([0.5, (("fc", 0.5),)], None),
        ([0.75, (("fc", 0.75),)], 0),
        ([0.875, (("fc", 0.875),)], 1),
        ([0.9375, (("fc", 0.9375),)], 1),
    ]
    assert torch.equal(net.weight, before)


def paths(net: nn.Sequential) -> int:
    """How many ways lead from an input to an output."""
    last, middle, first = ((net[place].weight != 0).long() for place in (4, 2, 0))
    return int((last @ middle @ first).sum())


@pytest.mark.parametrize(("rounds", "alive"), [(1, False), (50, True)])
def test_only_in_rounds_a_way_through_is_left(rounds: int, alive: bool) -> None:
    """Section 5 of the paper: scored once, the layers are cut apart; scored anew, they are not."""
    torch.manual_seed(0)
    layers = [nn.Linear(*pair, bias=False) for pair in ((30, 6), (6, 6), (6, 30))]
    net = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    masks = secateur.prune(
        net,
        "synflow",
        sparsity=0.985,
        example_inputs=torch.ones(1, 30),
        options={"rounds": rounds},
    )
    assert masks.zeros == 390  # of 396: 390.06
    assert bool(paths(net)) is alive
