"""Rules: each form of an operator becomes the node that computes the same, or runs in torch."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.dense import TorchSegment
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.graph import NodeKind

KNOWN = {
    "conv same": nn.Conv2d(3, 4, 3, padding="same", dilation=2),
    "conv valid": nn.Conv2d(3, 4, (3, 1), padding="valid"),
    "conv grouped": nn.Conv2d(3, 6, 3, groups=3, stride=(2, 1), padding=(0, 1), bias=False),
    "conv norm": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
    "norm conv": nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3)),
    "norm without affine": nn.BatchNorm2d(3, affine=False),
    "linear norm": nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.BatchNorm1d(5)),
    "max pool": nn.MaxPool2d(3, stride=2, padding=1),
    "max pool dilated": nn.MaxPool2d((2, 3), dilation=(2, 1)),
    "average pool": nn.AvgPool2d(2),
    "average pool, padding counted": nn.AvgPool2d(3, 2, 1),
    "average pool, padding not counted": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "adaptive pool": nn.AdaptiveAvgPool2d((2, 4)),
    "global pool": nn.AdaptiveAvgPool2d(1),
    "flatten, linear": nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU(inplace=True)),
}


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.conv = nn.Conv2d(3, 3, 1)
        self.register_buffer("scale", torch.full((3, 1, 1), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        if self.name == "mean":
            return self.conv(x).mean((2, 3))
        if self.name == "mean, kept":
            return self.conv(x).mean((-1, -2), keepdim=True)
        if self.name == "shortcut":
            return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2))
        if self.name == "add":
            return functional.relu(self.conv(x) + x)
        if self.name == "add, weighted":
            return torch.add(self.conv(x), x, alpha=2)
        if self.name == "add, broadcast":
            return self.conv(x) + self.scale
        if self.name == "product with a buffer":
            return self.conv(x * self.scale)
        if self.name == "pool, rounded up":
            return functional.max_pool2d(x, 3, ceil_mode=True)
        if self.name == "adaptive pool, uneven":
            return functional.adaptive_avg_pool2d(x, 3)
        if self.name == "slice from 1":
            return x[:, :, 1::2]
        if self.name == "weights that are computed":
            return functional.conv2d(x, self.conv.weight * x.mean())
        raise AssertionError(self.name)


def check(net: nn.Module, close: object) -> list[NodeKind]:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    graph = folded(capture(net, torch.zeros(2, 3, 8, 8)))
    inputs = torch.randn(5, 3, 8, 8)
    with torch.no_grad():
        (given,) = TorchSegment(graph.nodes[1:], [graph.outputs[0]]).run([inputs])
        close(given, net.eval()(inputs).double())
    return [node.kind for node in graph.nodes]


@pytest.mark.parametrize("net", KNOWN.values(), ids=KNOWN)
def test_modules_become_nodes(net: nn.Module, close: object) -> None:
    assert NodeKind.TORCH not in check(net, close)


@pytest.mark.parametrize("name", ["mean", "mean, kept", "shortcut", "add"])
def test_functions_become_nodes(name: str, close: object) -> None:
    assert NodeKind.TORCH not in check(Of(name), close)


@pytest.mark.parametrize(
    "name",
    [
        "add, weighted",
        "add, broadcast",
        "product with a buffer",
        "pool, rounded up",
        "adaptive pool, uneven",
        "slice from 1",
        "weights that are computed",
    ],
)
def test_other_forms_run_in_torch(name: str, close: object) -> None:
    assert NodeKind.TORCH in check(Of(name), close)
