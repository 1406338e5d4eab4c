"""Weights that are computed from others: what goes with a channel, and what holds it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, weight_norm

import secateur
from secateur.channels import compact_with_record


class Twice(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 2


class Masked(nn.Module):
    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.register_buffer("mask", (torch.rand(shape) > 0.3).float())

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


class Standardised(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        flat = weight.flatten(1)
        return ((flat - flat.mean(1, keepdim=True)) / (flat.std(1, keepdim=True) + 1e-5)).view_as(
            weight
        )


class Quantised(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(weight, 0.02, 0, -128, 127)


class Signs(torch.autograd.Function):
    @staticmethod
    def forward(_: object, weight: Tensor) -> Tensor:
        return weight.sign()


class Binary(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return Signs.apply(weight)


def conv(groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(16, 16, 3, padding=1, groups=groups)


def computed(layer: nn.Conv2d, by: nn.Module) -> nn.Module:
    return parametrize.register_parametrization(layer, "weight", by)


def old(layer: nn.Conv2d) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return weight_norm(layer)


# The layer, how many of its 16 channels can go at least, and how many of those that it reads.
LAYERS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "a gain": (lambda: computed(conv(), Twice()), 4, 4),
    "a gain of groups": (lambda: computed(conv(4), Twice()), 4, 4),
    "a gain of each channel": (lambda: computed(conv(16), Twice()), 4, 4),
    "a mask": (lambda: computed(conv(), Masked(conv().weight.shape)), 4, 4),
    "weight norm": (lambda: parametrizations.weight_norm(conv()), 4, 4),
    "weight norm of groups": (lambda: parametrizations.weight_norm(conv(4)), 4, 4),
    "weight norm of each channel": (lambda: parametrizations.weight_norm(conv(16)), 4, 4),
    "weight norm of what is read": (lambda: parametrizations.weight_norm(conv(), dim=1), 0, 4),
    "weight norm as it was": (lambda: old(conv()), 4, 4),
    "standardised": (lambda: computed(conv(), Standardised()), 4, 0),
    "spectral norm": (lambda: parametrizations.spectral_norm(conv()), 0, 4),
    "orthogonal": (lambda: parametrizations.orthogonal(conv()), 0, 0),
    "quantised": (lambda: computed(conv(), Quantised()), 1, 1),
    "quantised groups": (lambda: computed(conv(4), Quantised()), 1, 1),
    "quantised channels": (lambda: computed(conv(16), Quantised()), 1, 1),
    "a function of one's own": (lambda: computed(conv(), Binary()), 4, 4),
}


class Net(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.a, self.layer, self.b, self.c = nn.Conv2d(3, 16, 1), layer, conv(), nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.c(torch.relu(self.b(torch.relu(self.layer(torch.relu(self.a(x)))))))
        return y


@pytest.mark.parametrize("way", LAYERS)
def test_a_computed_weight_is_cut_rightly_or_holds_what_it_mixes(way: str) -> None:
    torch.manual_seed(0)
    make, written, read = LAYERS[way]
    net, x = Net(make()).eval(), torch.randn(2, 3, 6, 6)
    masks = secateur.prune(net, "l1-filter", sparsity=0.4, example_inputs=x)
    small = secateur.compact(net, masks, x)
    torch.testing.assert_close(net(x), small(x), atol=1e-4, rtol=1e-4)
    shape = small.layer.weight.shape
    assert 16 - shape[0] >= written
    assert 16 - small.a.out_channels >= read
    assert (shape[0] == 16, small.a.out_channels == 16) == (written == 0, read == 0)
    assert small.b.out_channels < 16


def test_a_norm_holds_what_it_is_taken_over_unless_that_is_zero() -> None:
    torch.manual_seed(0)
    net, x = Net(parametrizations.weight_norm(conv())).eval(), torch.randn(2, 3, 6, 6)
    kept = torch.arange(16) >= 6
    masks = {"a.weight": kept[:, None, None, None].expand(16, 3, 1, 1), "a.bias": kept}
    small = secateur.compact(net, masks, x)
    assert small.a.out_channels == 16
    part = {
        "layer.parametrizations.weight.original1": kept[None, :, None, None].expand(16, 16, 3, 3)
    }
    assert secateur.compact(net, {**masks, **part}, x).a.out_channels == 10


def test_a_compact_weight_norm_trains_as_the_masked_one() -> None:
    torch.manual_seed(0)
    net, x = Net(parametrizations.weight_norm(conv())), torch.randn(2, 3, 6, 6)
    masks = secateur.prune(net, "l1-filter", sparsity=0.4, example_inputs=x)
    record = compact_with_record(net, masks, x, fold=False)
    small, optimizer = record.model, torch.optim.SGD(net.parameters(), lr=0.1)
    masks.freeze(optimizer)
    other = torch.optim.SGD(small.parameters(), lr=0.1)
    for one, steps in ((net, optimizer), (small, other)):
        for _ in range(3):
            steps.zero_grad()
            one(x).square().sum().backward()
            steps.step()
    torch.testing.assert_close(net(x), small(x), atol=1e-4, rtol=1e-4)
