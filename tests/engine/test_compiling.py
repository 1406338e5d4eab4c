"""Compiling: any network, on any backend that can run it, and what is refused."""

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur import models
from secateur.artifact.load import load
from secateur.artifact.save import save
from secateur.errors import ModelError, UnknownNameError, UsageError


def test_the_model_is_left_as_it_was(small) -> None:
    net = small().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    secateur.compile(net, torch.ones(2, 2, 5, 5), backend="torch")
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_compiled_from_a_file(engine, net, small, tmp_path) -> None:
    save(net, tmp_path / "net.safetensors")
    again = secateur.compile(
        load(tmp_path / "net.safetensors", small), torch.zeros(1, 2, 5, 5), backend="torch"
    )
    inputs = torch.randn(2, 2, 5, 5)
    assert torch.allclose(again(inputs), engine(inputs), atol=1e-5)


def test_a_net_that_is_no_graph_runs_in_torch_and_says_why() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) if x.sum() > 0 else -self.linear(x)

    net = Branches()
    engine = secateur.compile(net, torch.ones(3, 4), seconds=0)
    assert torch.equal(engine(torch.ones(2, 4)), net(torch.ones(2, 4)))
    assert {choice.backend for choice in engine.choices.values()} == {"torch"}
    assert "runs in torch as it is" in str(engine)


def test_float64_runs_in_torch() -> None:
    net = nn.Linear(4, 2).double()
    engine = secateur.compile(net, torch.ones(2, 4).double(), seconds=0)
    inputs = torch.randn(3, 4).double()
    assert torch.equal(engine(inputs), net(inputs))


def test_without_kernels_it_runs_and_says_so(monkeypatch, net, exact, close) -> None:
    monkeypatch.setattr("secateur.native.library.available", lambda: False)
    monkeypatch.setattr("secateur.native.library.why_not", lambda: "no compiler.")
    engine = secateur.compile(net, torch.zeros(8, 2, 5, 5), seconds=0)
    assert "torch-csr" in engine.choices[8].timings
    assert "No sparse kernels: no compiler." in str(engine)
    inputs = torch.randn(3, 2, 5, 5)
    close(engine(inputs), exact(net, inputs))
    with pytest.raises(UsageError, match="torch-csr"):
        secateur.compile(net, torch.zeros(1, 2, 5, 5), backend="sparse")


def test_a_net_without_zeros_is_not_tried_on_the_sparse_kernels(small) -> None:
    engine = secateur.compile(small(), torch.zeros(8, 2, 5, 5), seconds=0)
    assert not {"sparse", "sparse-lanes"} & set(engine.choices[8].timings)


def test_a_dense_net_can_be_forced_onto_them(exact, close) -> None:
    net = models.build("lenet-300-100", (1, 6, 6), 4)
    for backend in ("sparse", "sparse-lanes", "mixed"):
        try:
            engine = secateur.compile(net, torch.zeros(8, 1, 6, 6), backend=backend, threads=1)
        except UsageError:
            pytest.skip("no native kernels here")
        inputs = torch.randn(3, 1, 6, 6)
        close(engine(inputs), exact(net, inputs))
        assert engine.choices[8].backend == backend


def test_bad_arguments(net) -> None:
    example = torch.zeros(1, 2, 5, 5)
    with pytest.raises(UnknownNameError, match="sparse"):
        secateur.compile(net, example, backend="sprase")
    with pytest.raises(UsageError, match="threads is 0"):
        secateur.compile(net, example, threads=0)
    with pytest.raises(UsageError, match="batches is 0"):
        secateur.compile(net, example, batches=[])
    with pytest.raises(ModelError, match="the example"):
        secateur.compile(net, example[:0])
    with pytest.raises(ModelError, match="failing"):
        secateur.compile(net, torch.zeros(1, 3, 5, 5))
    with pytest.raises(ModelError, match="output"):
        secateur.compile(nn.LSTM(4, 4), torch.zeros(2, 3, 4))


def test_the_threads_of_torch_are_put_back(net) -> None:
    before = torch.get_num_threads()
    secateur.compile(net, torch.zeros(1, 2, 5, 5), threads=3, seconds=0)
    assert torch.get_num_threads() == before
