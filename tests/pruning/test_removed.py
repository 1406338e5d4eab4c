from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from secateur.foundation.own_tensors import own_tensors
from secateur.pruning.masks import Masks


def net_of(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2))


@given(st.integers(0, 99), st.floats(0.05, 0.95))
@settings(max_examples=10, deadline=None)
def test_what_was_removed_comes_back_bit_by_bit(seed: int, share: float) -> None:
    net = net_of(seed)
    before = {name: one.detach().clone() for name, one in own_tensors(net)}
    masks = Masks({name: torch.rand_like(p) > share for name, p in net.named_parameters()})
    masks.apply(net)
    net(torch.randn(4, 1, 2, 2))  # in training mode: the norm's statistics move
    if masks.removed is None:
        assert all(torch.equal(one, before[name]) for name, one in net.named_parameters())
        return
    assert masks.removed.is_of(net)
    dense = masks.removed.dense(net)
    assert dense.keys() == before.keys()
    assert all(torch.equal(dense[name], one) for name, one in before.items())


def test_a_step_a_load_and_an_old_style_write_are_all_seen() -> None:
    for change in (
        lambda p: p.data.add_(1e-3),
        lambda p: p.data.__setitem__(0, 7.0),
        lambda p: setattr(p, "data", p.data * 2),
    ):
        net = net_of(0)
        masks = Masks({"0.weight": torch.rand(3, 1, 2, 2) > 0.5}).apply(net)
        assert masks.removed is not None
        change(net[3].bias)
        assert not masks.removed.is_of(net)


def test_layout_and_a_copy_are_no_change() -> None:
    import copy

    net = net_of(0)
    masks = Masks({"0.weight": torch.rand(3, 1, 2, 2) > 0.5}).apply(net)
    assert masks.removed is not None
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert masks.removed.is_of(copy.deepcopy(net))


def test_masks_that_remove_nothing_remember_nothing_and_a_second_apply_forgets_nothing() -> None:
    net = net_of(0)
    masks = Masks({"0.weight": torch.rand(3, 1, 2, 2) > 0.5})
    masks.apply(net)
    masks.apply(net)
    assert masks.removed is not None
    assert masks.removed.is_something
    assert Masks(dict(masks)).apply(net).removed is None


def test_memory_is_given_back_when_training_begins_and_never_copied() -> None:
    import copy

    net = net_of(0)
    masks = Masks({"0.weight": torch.rand(3, 1, 2, 2) > 0.5}).apply(net)
    assert copy.deepcopy(masks).removed is None
    masks.freeze(torch.optim.SGD(net.parameters(), lr=0.1))
    assert masks.removed is None


def test_a_network_without_storage_is_cut_and_nothing_is_remembered() -> None:
    with torch.device("meta"):
        net = nn.Linear(2, 2)
    masks = Masks({"weight": torch.tensor([[True, False], [False, True]])})
    assert masks.apply(net).removed is None


def test_complex_and_half_networks() -> None:
    net = nn.Linear(2, 2, dtype=torch.complex64)
    before = net.weight.detach().clone()
    masks = Masks({"weight": torch.tensor([[True, False], [False, True]])}).apply(net)
    assert masks.removed is not None
    assert masks.removed.is_of(net)
    assert torch.equal(masks.removed.dense(net)["weight"], before)
    half = nn.Linear(2, 2).to(torch.bfloat16)
    held = Masks({"weight": torch.tensor([[True, False], [False, True]])}).apply(half).removed
    assert held is not None
    assert held.is_of(half)
