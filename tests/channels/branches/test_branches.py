"""Which branches may go, and what holds the others, by name."""

import pytest
import torch
from residual_nets import HELD, Encoder, Held, X
from torch import nn

from secateur.channels.branches.branches import find_branches
from secateur.errors import ChannelError
from secateur.models.resnet import resnet20


@pytest.mark.parametrize("name", HELD)
def test_what_cannot_be_skipped_is_named(name: str) -> None:
    spoiled, path, why = HELD[name]
    torch.manual_seed(0)
    found = find_branches(Held(spoiled), X)
    ((pin, place, count, unit),) = [(o.operator, o.path, o.channels, o.unit) for o in found.report]
    assert pin.startswith(why)
    assert (place, count, unit) == (path, 1, "branch")
    free = [one.path for one in found.free]
    assert [one for one in free if one in ("first", "third")] == ["first", "third"]
    assert "second" not in free or name == "nested"


def test_blocks_that_change_the_shape_stay() -> None:
    found = find_branches(resnet20((1, 8, 8), 3), torch.zeros(2, 1, 8, 8))
    assert [one.path for one in found.free] == [
        f"block{stage}_{n}"
        for stage in (1, 2, 3)
        for n in (1, 2, 3)
        if (stage, n) in {(1, 1)} or n > 1
    ]
    assert str(found.report).splitlines()[0] == (
        "1 branch stays: its shortcut is not the identity "
        "(__getitem__ in block2_1.shortcut, pad in block2_1.shortcut) in block2_1"
    )


def test_a_path_that_is_dropped_drops_zeros() -> None:
    found = find_branches(Encoder(2), X)
    assert len(found.free) == 4
    assert found.report == ()


def test_units_are_whole_and_of_exact_sizes() -> None:
    net = Encoder(1)
    groups = find_branches(net, X).groups(net)
    assert groups.whole
    assert groups.layers == ("blocks.0.attention.qkv", "blocks.0.perceptron.up")
    places = {slot.parameter: (slot.axis, set(slot.groups.tolist())) for slot in groups.slots}
    assert places["blocks.0.scale"] == (0, {0})
    assert places["blocks.0.norm2.bias"] == places["blocks.0.perceptron.down.weight"] == (0, {1})
    assert len(places) == 13


def test_nets_without_and_nets_that_fail_are_refused() -> None:
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    with pytest.raises(ChannelError, match=r"without branches that may go \(no sum of a tensor"):
        find_branches(net, X).groups(net)
    with pytest.raises(ChannelError, match="failing on the example inputs"):
        find_branches(net, torch.zeros(2, 3))
