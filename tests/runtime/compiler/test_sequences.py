"""Sequences: convolutions over one axis, and layers that work row by row."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from secateur.runtime.compiler.capture import capture, read
from secateur.runtime.compiler.choice import CSR, FOLDED, LANES, ONNX, SERIAL, SPARSE
from secateur.runtime.compiler.exporting import exported
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.graph import Graph, NodeKind
from secateur.runtime.compiler.onnx_operators import can_write
from secateur.runtime.compiler.planner import Planner

ONE_AXIS = {
    "conv": nn.Conv1d(6, 8, 3, padding=1, stride=2),
    "dilated, in groups": nn.Conv1d(6, 8, 3, dilation=2, groups=2),
    "same": nn.Conv1d(6, 4, 5, padding="same"),
    "norm and relu": nn.Sequential(nn.Conv1d(6, 8, 3), nn.BatchNorm1d(8), nn.ReLU()),
    "pools": nn.Sequential(nn.MaxPool1d(3, 2, 1), nn.AvgPool1d(2), nn.AdaptiveAvgPool1d(1)),
    "a net": nn.Sequential(
        nn.Conv1d(6, 8, 3, padding=1),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(8, 8, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 3),
    ),
}


class Of(nn.Module):
    """A function with a few layers to use."""

    def __init__(self, run: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(16, 32), nn.Linear(32, 16), nn.Linear(4, 4)
        self.run = run

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def split_heads(n: Any, x: Tensor) -> Tensor:
    """Rows of another width, of the same numbers."""
    heads = n.b(n.a(x)).view(x.shape[0], 6, 4, 4)
    return n.c(heads).flatten(2)


ROWS = {
    "two layers": lambda n, x: n.b(n.a(x).relu()),
    "residual": lambda n, x: x + n.b(functional.gelu(n.a(x))),
    "residual of a layer": lambda n, x: n.b(n.a(x).relu()) + x,
    "time in front": lambda n, x: n.b(n.a(x.transpose(0, 1)).relu()).transpose(0, 1),
    "one axis of rows": lambda n, x: n.b(n.a(x.reshape(-1, 16))).view(x.shape),
    "other rows": split_heads,
    "product": lambda n, x: (x @ n.a.weight.t()).relu(),
    "of images": lambda n, x: n.a(x.unflatten(1, (2, 3))).flatten(1, 2),
    "then a vector": lambda n, x: functional.linear(n.a(x).flatten(1), torch.ones(3, 192)),
    "read twice": lambda n, x: n.b(n.a(x)) * n.b(n.a(x).relu()).sigmoid(),
    "two outputs": lambda n, x: (n.a(x), n.b(n.a(x)).relu()),
}


def graph_of(net: nn.Module, example: Tensor) -> Graph:
    net.eval().requires_grad_(False)
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif hasattr(module, "weight"):
            module.weight *= torch.rand_like(module.weight) > 0.6
    return folded(capture(net, example))


def check(net: nn.Module, *shape: int) -> Graph:
    """Every backend gives the network's numbers at every batch."""
    graph = graph_of(net, torch.zeros(2, *shape))
    made = Planner(graph, threads=1, seconds=0)
    names = {FOLDED, CSR, SPARSE, LANES, SERIAL, ONNX} & set(made.backends(8, forced=True))
    for name in names:
        run = made.build(name, 8)
        for batch in (1, 2, 9):
            x = torch.randn(batch, *shape)
            given, expected = run(x), net(x)
            pairs = (
                [(given, expected)]
                if isinstance(expected, Tensor)
                else zip(given, expected, strict=True)
            )
            for one, other in pairs:
                assert one.shape == other.shape, (name, batch)
                assert torch.allclose(one, other, rtol=1e-4, atol=1e-5), (name, batch)
    return graph


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("name", ONE_AXIS)
def test_one_axis(name: str) -> None:
    graph = check(ONE_AXIS[name], 6, 16)
    assert NodeKind.TORCH not in {node.kind for node in graph.nodes}


def test_norms_and_relus_behind_another_shape_are_folded() -> None:
    kinds = [str(node) for node in graph_of(ONE_AXIS["norm and relu"], torch.zeros(2, 6, 9)).nodes]
    assert kinds == [
        "<input input 6x9>",
        "<reshape 0 6x1x9>",
        "<conv 0 8x1x7 relu>",
        "<reshape 0 8x7>",
    ]


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str) -> None:
    graph = check(Of(ROWS[name]), 6, 16)
    assert all(node.rows for node in graph.layers() if len(node.dims or ()) > 2)


def test_rows_of_the_batch_and_of_no_batch_are_not_taken_together() -> None:
    """They are as many in the example, and not elsewhere."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
            return self.a(x), self.a(table)

    net = Net().eval().requires_grad_(False)
    program = exported(net, [torch.zeros(2, 3, 4), torch.zeros(6, 4)], [True, False])
    made = Planner(folded(read(program)), threads=1, seconds=0)
    if SPARSE not in made.backends(2, forced=True):
        pytest.skip("no native kernels here")
    run = made.build(SPARSE, 2)
    x, table = torch.randn(5, 3, 4), torch.randn(6, 4)
    for one, other in zip(run(x, table), net(x, table), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert len(run._segments) == 2


def test_another_shape_with_one_open_axis_needs_no_sizes_and_a_copy_is_nothing() -> None:
    def run(n: Any, x: Tensor) -> Tensor:
        turned = n.a(x.transpose(0, 1)).contiguous()
        return n.b(turned.view(6 * x.shape[0], 32)).view(6, x.shape[0], 16).transpose(0, 1)

    graph = check(Of(run), 6, 16)
    names = [node.name for node in graph.inner if node.kind is NodeKind.TORCH]
    assert names == ["aten.transpose", "aten.view", "aten.view", "aten.transpose"]
    assert all(map(can_write, graph.inner))


def test_a_transformer_is_made_of_rows() -> None:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    graph = check(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), 6, 16)
    assert sum(node.rows > 0 for node in graph.layers()) == 2 * 4
