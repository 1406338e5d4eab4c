from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from secateur.point import Score, Share
from secateur.pruning.layers import Layers
from secateur.pruning.method import Part
from secateur.pruning.sensitivity import LayerCut
from secateur.verbs.cut_alone import cut_each_layer

WEIGHTS = (Part("magnitude", "weight", "all", "global"),)
CHANNELS = (Part("magnitude", "channel", "conv", "layer"),)
EXAMPLE = torch.zeros(2, 3, 6, 6)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.inner = nn.Conv2d(8, 6, 3, padding=1)
        self.outer = nn.Conv2d(6, 8, 3, padding=1)
        self.fc = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        return self.fc((x + self.outer(self.inner(x).relu())).relu().mean((2, 3)))


def bits(model: nn.Module) -> dict[str, Tensor]:
    return {name: one.clone() for name, one in model.state_dict().items()}


def zeros(model: nn.Module) -> Score:
    """Zeros of all weights, as a score: what is scored can be counted."""
    counts = [int((one == 0).sum()) for name, one in model.state_dict().items() if "weight" in name]
    return Score("zeros", "val", float(sum(counts)), False)


def test_each_weight_is_cut_alone_and_put_back() -> None:
    model = Net()
    before, told = bits(model), list[LayerCut]()
    found = cut_each_layer(model, "magnitude", WEIGHTS, (0.25, 0.5), zeros, on_cut=told.append)
    assert found.layers == ("stem.weight", "inner.weight", "outer.weight", "fc.weight")
    assert tuple(told) == found.cuts
    sizes = {"stem.weight": 216, "inner.weight": 432, "outer.weight": 432, "fc.weight": 16}
    for cut in found.cuts:
        count = int(cut.sparsity * sizes[cut.layer])
        assert cut.zeros == Share(count, sizes[cut.layer])
        assert cut.score.value == count  # no other layer has one
    assert found.total == sum(sizes.values())
    assert found.score.value == 0
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_channels_go_from_all_layers_that_compute_them() -> None:
    found = cut_each_layer(Net(), "l1-filter", CHANNELS, (0.5,), zeros, example_inputs=EXAMPLE)
    stem, inner = found.cuts
    assert stem.together == ("stem.weight", "outer.weight")
    assert stem.zeros == Share(108 + 216, 216 + 432)
    assert (inner.together, inner.zeros) == (("inner.weight",), Share(216, 432))
    assert (stem.score.value, inner.score.value) == (324, 216)


def test_a_choice_of_layers_holds() -> None:
    layers = Layers(exclude=("fc",), only=("Linear", "stem", "inner"))
    found = cut_each_layer(Net(), "magnitude", WEIGHTS, (0.5,), zeros, layers=layers)
    assert found.layers == ("stem.weight", "inner.weight")
    free = Layers(exclude=("outer",))
    kept = cut_each_layer(
        Net(), "l1-filter", CHANNELS, (0.5,), zeros, example_inputs=EXAMPLE, layers=free
    )
    assert kept.layers == ()


def test_a_score_that_fails_leaves_the_network_as_it_was() -> None:
    model = Net()
    before = copy.deepcopy(bits(model))

    def fails(net: nn.Module) -> Score:
        if zeros(net).value:
            raise RuntimeError("no")
        return zeros(net)

    with pytest.raises(RuntimeError):
        cut_each_layer(model, "magnitude", WEIGHTS, (0.5,), fails)
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
