from __future__ import annotations

import pytest
import torch
from torch import nn

import secateur
from secateur.errors import KernelError
from secateur.runtime.kernels import kernels
from secateur.runtime.layers.conv import SparseConv2d
from secateur.runtime.layers.linear import SparseLinear
from secateur.runtime.layers.sparsify import densify


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.again = nn.Linear(8, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).relu().mean((2, 3))
        return self.head(self.again(self.again(x)))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    net = Net().eval()
    with torch.no_grad():
        for layer in (net.conv, net.again):
            layer.weight.mul_(torch.rand_like(layer.weight) > 0.85)
    return net


pytestmark = [
    pytest.mark.skipif(not kernels.available(), reason=kernels.why_not()),
    pytest.mark.usefixtures("each_isa"),
]


def test_sparse_layers_are_swapped_in_a_copy(net: Net) -> None:
    sparse = secateur.sparsify(net)
    assert type(sparse.conv) is SparseConv2d
    assert type(sparse.again) is SparseLinear
    assert type(sparse.head) is nn.Linear
    assert type(net.conv) is nn.Conv2d
    x = torch.randn(5, 3, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(sparse(x), net(x))
        torch.testing.assert_close(densify(sparse)(x), net(x))
    assert not sparse.conv.training


def test_a_layer_by_itself_and_one_that_occurs_twice() -> None:
    layer = nn.Linear(4, 4)
    assert isinstance(secateur.sparsify(layer, sparsity=0), SparseLinear)
    twice = secateur.sparsify(nn.Sequential(layer, layer), sparsity=0)
    assert twice[0] is twice[1]


def test_what_is_left_alone() -> None:
    hooked = nn.Linear(4, 4)
    hooked.register_forward_hook(lambda *_: None)
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    grouped, mirrored = nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 4, 1, padding_mode="reflect")
    attention = nn.MultiheadAttention(4, 2)
    double = nn.Linear(4, 4).double()
    model = nn.ModuleList([hooked, normed, grouped, mirrored, attention, double])
    swapped = [
        m for m in secateur.sparsify(model, sparsity=0).modules() if "Sparse" in repr(type(m))
    ]
    assert swapped == []


@pytest.mark.parametrize("sparsity", [-0.1, 1.5, 90.0])
def test_a_sparsity_is_a_share(net: Net, sparsity: float) -> None:
    with pytest.raises(KernelError, match="expected 0 <= sparsity <= 1"):
        secateur.sparsify(net, sparsity=sparsity)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compile_sees_one_graph(net: Net, backend: str) -> None:
    sparse = secateur.sparsify(net)
    compiled = torch.compile(sparse, fullgraph=True, backend=backend)
    x = torch.randn(5, 3, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), net(x))
    torch._dynamo.reset()


def test_export_sees_operators_for_any_batch(net: Net) -> None:
    batch = torch.export.Dim("batch", min=2, max=64)
    x = torch.randn(5, 3, 6, 6)
    program = torch.export.export(
        secateur.sparsify(net), (x,), dynamic_shapes={"x": {0: batch}}, strict=False
    )
    targets = [str(node.target) for node in program.graph.nodes]
    assert targets.count("secateur.sparse_conv2d.default") == 1
    assert targets.count("secateur.sparse_linear.default") == 2
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x[:3]), net(x[:3]))


def test_without_kernels_it_says_so_and_is_right(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "available", lambda: False)
    monkeypatch.setattr(kernels, "why_not", lambda: "no compiler")
    with pytest.warns(RuntimeWarning, match="will run on torch: no compiler"):
        sparse = secateur.sparsify(net)
    x = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(sparse(x), net(x))
    assert "no native kernels" in repr(sparse)
