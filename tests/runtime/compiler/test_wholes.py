"""Wholes: a network in one piece, in each engine, whatever it does."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.choice import LAYERS, ONNX, TORCH
from secateur.runtime.compiler.exporting import exported
from secateur.runtime.compiler.trial import Trial
from secateur.runtime.compiler.wholes import Wholes
from secateur.runtime.kernels import library

needs_onnx = pytest.mark.skipif(not onnx.available(), reason="needs ONNX Runtime")
needs_kernels = pytest.mark.skipif(not library.available(), reason="no native kernels here")


class Tagger(nn.Module):
    """What the kernels know little of: an embedding, a GRU, several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.gru = nn.Embedding(20, 8), nn.GRU(8, 8, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, ids: Tensor, scale: Tensor) -> dict[str, Any]:
        states, last = self.gru(self.words(ids))
        return {"tags": self.head(states) * scale.view(-1, 1, 1), "last": last[0], "more": None}


def inputs(size: int) -> dict[str, Tensor]:
    return {"ids": torch.randint(20, (size, 6)), "scale": torch.rand(size)}


@pytest.fixture(scope="module")
def trial() -> Trial:
    torch.manual_seed(0)
    net = Tagger().eval().requires_grad_(False)
    net.head.weight[1:] = 0
    return Trial(net, inputs(3))


@pytest.fixture(scope="module")
def wholes(trial: Trial) -> Wholes:
    structure = trial.structure
    flat = structure.flat(Tagger().eval().requires_grad_(False))
    flat.load_state_dict(trial.net.state_dict())
    program = exported(flat, structure.tensors, structure.batched, is_flat=True)
    return Wholes(trial, program, 1)


@needs_onnx
@pytest.mark.usefixtures("exporter")
def test_every_engine_gives_the_networks_own_output(trial: Trial, wholes: Wholes) -> None:
    names = wholes.backends(without=())
    assert set(names) == ({TORCH, LAYERS, ONNX} if library.available() else {TORCH, ONNX})
    for name in names:
        run = wholes.build(name)
        for size in (1, 2, 7):
            tensors = list(inputs(size).values())
            assert trial.difference(run, tensors) == "", name
    assert wholes.backends(without=[ONNX]) == [name for name in names if name != ONNX]


@needs_kernels
def test_sparse_layers_are_exchanged_in_a_network_that_is_no_graph() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 64)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) if float(x.sum()) > 0 else -self.linear(x)

    net = Branches()
    secateur.prune(net, "magnitude", sparsity=0.9)
    engine = secateur.compile(net, torch.ones(3, 5, 64), seconds=0)
    assert engine.graph is None
    assert set(engine.choices[3].timings) == {TORCH, LAYERS}
    forced = secateur.compile(net, torch.ones(3, 5, 64), backend=LAYERS)
    for made in (engine, forced):
        for x in (torch.ones(2, 5, 64), -torch.ones(2, 5, 64)):
            assert torch.allclose(made(x), net(x), atol=1e-5)


@needs_onnx
@pytest.mark.usefixtures("exporter")
def test_what_cannot_be_exported_stays_with_torch_and_the_report_says_so() -> None:
    class Bessel(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.bessel_j0(x)

    engine = secateur.compile(Bessel(), torch.rand(2, 4), seconds=0)
    x = torch.rand(3, 4)
    assert torch.equal(engine(x), torch.special.bessel_j0(x))
    assert "Left out: onnxruntime: " in str(engine)
    assert "bessel_j0" in str(engine)


@pytest.mark.parametrize("missing", ["onnxruntime", "onnxscript"])
def test_what_is_not_installed_is_named(monkeypatch, trial: Trial, missing: str) -> None:
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == missing else object()
    )
    wholes = Wholes(trial, object(), 1)  # type: ignore[arg-type]
    assert ONNX not in wholes.backends(without=())
    assert "installed" in wholes.left_out[ONNX]
