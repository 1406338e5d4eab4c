"""Fake-quantised nets are cut once their observers are off; observers that are on hold channels."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.ao import quantization

import secateur
from secateur.errors import ChannelError

X = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.depth = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8)
        self.b, self.fc = nn.Conv2d(8, 12, 1), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.b(self.depth(self.a(x).relu()).relu()).relu()
        out: Tensor = self.fc(y.mean((2, 3)))
        return out


def prepared(backend: str, version: int) -> nn.Module:
    """A net in the middle of training for int8."""
    torch.manual_seed(0)
    net = Net().train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this part of torch is to move to another package
        net.qconfig = quantization.get_default_qat_qconfig(backend, version=version)
        net = quantization.prepare_qat(net)
    for _ in range(3):
        net(torch.randn(4, 3, 12, 12))
    return net


@pytest.mark.parametrize("version", [0, 1])  # observers apart, or in one operator
@pytest.mark.parametrize("backend", ["fbgemm", "qnnpack"])  # weights by channel, or as a whole
def test_nets_whose_observers_are_off_are_cut(backend: str, version: int) -> None:
    net = prepared(backend, version)
    net.apply(quantization.disable_observer)
    net.eval()
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, scope="all", example_inputs=X)
    small = secateur.compact(net, masks, X)
    shapes = [tuple(getattr(small, name).weight.shape[:2]) for name in ("a", "depth", "b", "fc")]
    assert shapes == [(4, 3), (4, 1), (6, 4), (4, 6)]
    scales = small.get_submodule("a.weight_fake_quant").scale
    assert scales.numel() == (4 if backend == "fbgemm" else 1)
    other = torch.randn(4, 3, 12, 12)
    torch.testing.assert_close(small(other), net(other))
    small.train()(other).sum().backward()
    assert small.a.weight.grad.any()


def test_an_observer_that_is_on_holds_what_it_sees_and_says_how_to_turn_it_off() -> None:
    net = prepared("fbgemm", 1).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ChannelError, match="its observer is on; disable_observer") as caught:
        secateur.prune(net, "l1-filter", sparsity=0.5, scope="all", example_inputs=X)
    assert "b.weight_fake_quant" in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


class ByChannel(nn.Module):
    """Quantised by the functions themselves, by channel along an axis of weight and activation."""

    def __init__(self, zero_point: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 2, 1)
        self.register_buffer("scale", torch.linspace(0.01, 0.02, 8))
        self.register_buffer("zero_point", torch.full((8,), zero_point, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        kernel = torch.fake_quantize_per_channel_affine(
            self.a.weight, self.scale, self.zero_point, 0, -128, 127
        )
        y = nn.functional.conv2d(x, kernel, self.a.bias)
        y = torch.fake_quantize_per_channel_affine(
            y, self.scale, axis=-3 % 4, zero_point=self.zero_point, quant_min=-128, quant_max=127
        )
        y = torch.fake_quantize_per_tensor_affine(y.relu(), 0.02, 3, 0, 255)
        out: Tensor = self.c(self.b(y).relu())
        return out


@pytest.mark.parametrize("zero_point", [0, -7])
def test_scales_and_zero_points_go_with_their_channel(zero_point: int) -> None:
    net = ByChannel(zero_point).eval()
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, scope="all", example_inputs=X)
    small = secateur.compact(net, masks, X)
    kept = masks["a.weight"].flatten(1).any(1)
    assert int(kept.sum()) == 4
    assert torch.equal(small.scale, net.scale[kept])
    assert small.zero_point.tolist() == [zero_point] * 4
    assert small.b.weight.shape[:2] == (3, 4)
    other = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(small(other), net(other))
