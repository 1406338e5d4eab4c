"""Networks and their exact outputs."""

import copy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.runtime.compiler import Engine

sys.path.insert(0, str(Path(__file__).parent))  # for one_node

Exact = Callable[[nn.Module, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def exporter() -> None:
    """Ask for torch's exporter to ONNX."""


@pytest.fixture(autouse=True)
def _no_exporter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds each time: only tests of it have it."""
    if "exporter" not in request.fixturenames:
        monkeypatch.setattr(
            "secateur.runtime.compiler.wholes.Wholes._export",
            lambda self, _: self.left_out.update(onnxruntime="not tried here"),
        )


def _small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)
    )


@pytest.fixture
def small() -> Callable[[], nn.Sequential]:
    """Makes a net of 2x5x5 in and 3 out."""
    return _small


@pytest.fixture(scope="session")
def net() -> nn.Module:
    """A small net, pruned."""
    torch.manual_seed(0)
    net = _small().eval()
    secateur.prune(net, "magnitude", sparsity=0.8)
    return net


@pytest.fixture(scope="session")
def engine(net: nn.Module) -> Engine:
    """That net compiled, for batches of 1 and of 9."""
    return secateur.compile(net, torch.zeros(9, 2, 5, 5), threads=1, seconds=0)


@pytest.fixture
def sparsified() -> Callable[[nn.Module, float], nn.Module]:
    """Zero a share of every weight, and give every batch norm statistics that matter."""

    def sparsify(net: nn.Module, share: float) -> nn.Module:
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                    nn.init.uniform_(module.bias, -0.2, 0.2)
                    nn.init.uniform_(module.running_mean, -0.2, 0.2)
                    nn.init.uniform_(module.running_var, 0.5, 1.5)
                elif isinstance(module, nn.Conv2d | nn.Linear):
                    module.weight *= torch.rand_like(module.weight) >= share
        return net.eval()

    return sparsify


@pytest.fixture
def exact() -> Exact:
    """What a network gives in float64, in evaluation mode."""

    def run(net: nn.Module, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            return copy.deepcopy(net).double().eval()(inputs.double())

    return run


@pytest.fixture
def close() -> Callable[[Tensor, Tensor], None]:
    """Assert that two tensors are equal to 1e-4 of the largest number."""

    def check(given: Tensor, expected: Tensor) -> None:
        assert given.shape == expected.shape
        scale = float(expected.abs().max())
        assert scale > 1e-3, "an output of zeros would prove nothing"
        assert float((given.double() - expected).abs().max()) <= 1e-4 * scale

    return check
