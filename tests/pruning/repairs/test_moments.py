"""Bias and variance correction: moments of every channel of every layer, by hand and in general."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import secateur
from secateur.pruning.masks import Masks
from secateur.pruning.repairs.moments import MOST, Moments

SECOND_GOES = Masks({"weight": torch.tensor([[True, False]])})


def sum_of_two() -> nn.Linear:
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.fill_(1.0)
        net.bias.zero_()
    return net


def test_the_bias_by_hand() -> None:
    net = sum_of_two()
    masks = Masks(SECOND_GOES).apply(net)
    # Before the cut 3 and 13, their mean 8; then 1 and 3, their mean 2.
    secateur.repair(net, masks, [torch.tensor([[1.0, 2.0], [3.0, 10.0]])], "bias")
    assert (net.weight.tolist(), net.bias.tolist()) == ([[1.0, 0.0]], [6.0])


def test_the_variance_by_hand() -> None:
    net = sum_of_two()
    masks = Masks(SECOND_GOES).apply(net)
    # Before the cut 3 and 7: mean 5, deviation 2; then 1 and 3: mean 2, deviation 1.
    secateur.repair(net, masks, [torch.tensor([[1.0, 2.0], [3.0, 4.0]])], "variance")
    assert (net.weight.tolist(), net.bias.tolist()) == ([[2.0, 0.0]], [1.0])


def test_a_channel_that_hardly_varies_is_not_blown_up() -> None:
    net = sum_of_two()
    masks = Masks(SECOND_GOES).apply(net)
    x = torch.tensor([[1.0, 2.0], [1.01, 100.0]])
    secateur.repair(net, masks, [x], "variance")
    assert net.weight.tolist() == [[MOST, 0.0]]
    # Its mean is right all the same.
    assert net(x).mean().item() == pytest.approx(x.sum(1).mean().item())
    constant = sum_of_two()
    masks = Masks({"weight": torch.zeros(1, 2, dtype=torch.bool)}).apply(constant)
    secateur.repair(constant, masks, [x], "variance")
    assert constant.weight.tolist() == [[0.0, 0.0]]
    assert constant.bias.item() == pytest.approx(x.sum(1).mean().item())


def test_moments_of_parts_are_those_of_the_whole() -> None:
    x = torch.randn(12, 3, 5, dtype=torch.float64)
    whole = Moments.of(x, 1)
    parts = Moments.of(x[:2], 1).merged(Moments.of(x[2:9], 1)).merged(Moments.of(x[9:], 1))
    assert (parts.n, whole.n) == (60, 60)
    assert torch.allclose(parts.mean, whole.mean)
    assert torch.allclose(parts.variance, whole.variance)


BUILT: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), (4,)),
    "linear of sequences": (lambda: nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5)), (3, 4)),
    "conv": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 2)), (2, 6, 6)),
    "conv1d, grouped": (lambda: nn.Sequential(nn.Conv1d(4, 4, 3, groups=2)), (4, 9)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 2, groups=2)), (4, 3, 3)),
    "batch norm": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4)),
        (2, 6, 6),
    ),
    "group norm": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4)), (2, 6, 6)),
}


def channel_moments(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of the last layer's output, channels last in a linear one and at 1 in the others."""
    with torch.no_grad():
        out = net.eval()(x)
    axis = out.dim() - 1 if isinstance(list(net.children())[-1], nn.Linear | nn.LayerNorm) else 1
    found = Moments.of(out, axis)
    return found.mean, found.variance


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize("kind", ["bias", "variance"])
def test_the_moments_of_a_layer_are_those_from_before_the_cut(name: str, kind: str) -> None:
    build, shape = BUILT[name]
    torch.manual_seed(0)
    net = build().double()
    x = torch.randn(64, *shape, dtype=torch.float64)
    mean, variance = channel_moments(net, x)
    weights = {one: p for one, p in net.named_parameters() if p.dim() > 1}
    masks = Masks({one: torch.rand(p.shape) > 0.3 for one, p in weights.items()}).apply(net)
    cut = channel_moments(net, x)
    assert not torch.allclose(cut[0], mean)
    secateur.repair(net, masks, [x], kind)
    repaired = channel_moments(net, x)
    assert torch.allclose(repaired[0], mean)
    if kind == "variance":
        assert torch.allclose(repaired[1], variance)


def test_several_batches_come_near_to_one() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    x = 1 + torch.randn(512, 4)
    dense, _ = channel_moments(net, x)
    masks = Masks({"0.weight": torch.rand(8, 4) > 0.5, "2.weight": torch.rand(8, 8) > 0.5})
    masks.apply(net)
    cut, _ = channel_moments(net, x)
    secateur.repair(net, masks, x.split(64), "bias")
    repaired, _ = channel_moments(net, x)
    assert float((repaired - dense).norm()) < 0.1 * float((cut - dense).norm())


@given(st.integers(0, 10**6), st.sampled_from(["bias", "variance", "least-squares"]))
@settings(max_examples=15, deadline=None)
def test_layers_before_the_cut_do_not_change_by_a_bit(seed: int, kind: str) -> None:
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 2), nn.Flatten(),
        nn.Linear(12, 2),
    )  # fmt: skip
    before = copy.deepcopy(net.state_dict())
    masks = Masks({"3.weight": torch.rand(3, 3, 2, 2) > 0.5}).apply(net)
    done = secateur.repair(net, masks, torch.randn(20, 1, 4, 4).split(7), kind)
    for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean"):
        assert torch.equal(net.state_dict()[name], before[name])
    assert not {"0", "1"} & set(done[0].layers)
