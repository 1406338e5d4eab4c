"""Planner: which plans of a graph there are, and what its layers take."""

import pytest
import torch
from torch import Tensor, nn

from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.choice import FOLDED, LANES, MIXED, ONNX, SERIAL, SPARSE
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.plan import Side
from secateur.runtime.compiler.planner import Planner
from secateur.runtime.kernels import library

needs_kernels = pytest.mark.skipif(not library.available(), reason="no native kernels here")


def planner(net: nn.Module, *shape: int, threads: int = 1, zeros: bool = True) -> Planner:
    for module in net.eval().modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear) and zeros:
            module.weight.detach()[1:] = 0
    return Planner(folded(capture(net, torch.zeros(2, *shape))), threads=threads, seconds=0)


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))


@needs_kernels
def test_which_plans_are_worth_measuring() -> None:
    dense = planner(small(), 2, 5, 5, threads=2, zeros=False)
    assert {SPARSE, SERIAL, LANES}.isdisjoint(dense.backends(1))
    assert {SPARSE, SERIAL} <= set(planner(small(), 2, 5, 5, threads=2).backends(1))
    assert SERIAL not in planner(small(), 2, 5, 5).backends(1)
    assert {LANES, SERIAL} <= set(planner(small(), 2, 5, 5, threads=2).backends(64))


def test_a_net_without_layers_runs_as_a_graph() -> None:
    assert set(planner(nn.Flatten(), 2, 3).backends(4)) == {
        FOLDED,
        *([ONNX] if onnx.available() else []),
    }


@needs_kernels
def test_each_layer_alone_is_timed_where_it_can_run() -> None:
    made = planner(nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 4)), 3, 8)
    times = made.layer_times(8)
    assert [node.rows for node in times] == [3, 3]
    for seconds in times.values():
        assert set(seconds) >= {SPARSE, LANES, "torch"}


@needs_kernels
@pytest.mark.skipif(not onnx.available(), reason="needs ONNX Runtime")
def test_what_the_kernels_do_not_know_runs_in_onnx_runtime_between_them() -> None:
    made = planner(nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 4)), 8)
    sides = dict.fromkeys(made.graph.layers(), Side.SPARSE)
    assert made.is_mixture(sides)
    assert not made.is_mixture(dict.fromkeys(sides, Side.DENSE))
    kinds = [type(one).__name__ for one in made.build(MIXED, 4, sides)._segments]
    assert kinds == ["Segment", "OnnxSegment", "Segment"]
    assert ONNX in made.backends(4)


@needs_kernels
@pytest.mark.parametrize("name", [SPARSE, MIXED])
def test_one_unknown_operator_in_the_middle_falls_back_alone(name: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.special.bessel_j0(self.first(x)).relu())

    net = Net()
    made = planner(net, 8)
    sides = dict.fromkeys(made.graph.layers(), Side.SPARSE)
    run = made.build(name, 4, sides)
    assert [type(one).__name__ for one in run._segments] == ["Segment", "TorchSegment", "Segment"]
    x = torch.randn(5, 8)
    with torch.no_grad():
        assert torch.allclose(run(x), net(x), atol=1e-5)
