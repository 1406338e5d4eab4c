"""Folding: fewer nodes, the same function, the same zeros."""

import torch
from torch import Tensor, nn

from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.dense import TorchSegment
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.graph import Graph


def kinds(graph: Graph) -> list[str]:
    return [f"{node.kind}{'+relu' if node.relu else ''}" for node in graph.nodes]


def test_a_norm_keeps_the_zeros_of_the_layer_that_takes_it_in(sparsified, exact, close) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    sparsified(net, 0.7)
    graph = folded(capture(net, torch.zeros(2, 3, 6, 6)))
    assert kinds(graph) == ["input", "conv+relu"]
    assert torch.equal(graph.outputs[0].matrix == 0, net[0].weight == 0)
    inputs = torch.randn(4, 3, 6, 6)
    close(TorchSegment(graph.nodes[1:], [graph.outputs[0]]).run([inputs])[0], exact(net, inputs))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.norm = nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y.relu()


def test_what_two_read_is_not_folded() -> None:
    graph = folded(capture(Shared(), torch.zeros(2, 2, 3, 3)))
    assert kinds(graph) == ["input", "conv", "affine", "relu", "add"]


def test_a_norm_behind_a_relu_stays() -> None:
    net = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.BatchNorm2d(2), nn.ReLU())
    graph = folded(capture(net, torch.zeros(2, 2, 3, 3)))
    assert kinds(graph) == ["input", "conv+relu", "affine+relu"]


def test_a_second_relu_is_nothing() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.ReLU())
    assert kinds(folded(capture(net, torch.zeros(3, 2)))) == ["input", "linear+relu"]
