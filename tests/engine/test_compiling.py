"""Engines: what a user gives, gets back, and is told."""

import threading

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur import models
from secateur.artifact.load import load
from secateur.artifact.save import save
from secateur.engine import Engine
from secateur.errors import ModelError, UnknownNameError, UsageError


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)
    )


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    net = small().eval()
    secateur.prune(net, "magnitude", sparsity=0.8)
    return net


@pytest.fixture(scope="module")
def engine(net: nn.Module) -> Engine:
    return secateur.compile(net, torch.zeros(9, 2, 5, 5), threads=1, seconds=0)


def test_any_batch(engine, net, exact, close) -> None:
    assert list(engine.choices) == [1, 9]
    for batch in (1, 2, 3, 9, 40):
        inputs = torch.randn(batch, 2, 5, 5)
        given = engine(inputs)
        close(given, exact(net, inputs))
        assert not given.requires_grad
        assert not given.is_inference()


def test_the_nearest_size_is_chosen(engine) -> None:
    assert [engine.choice(n).batch for n in (1, 2, 4, 9, 500)] == [1, 1, 9, 9, 9]


def test_an_empty_batch_is_empty(engine) -> None:
    assert engine(torch.zeros(0, 2, 5, 5)).shape == (0, 3)
    assert engine(np.zeros((0, 2, 5, 5), np.float32)).shape == (0, 3)


def test_arrays_give_arrays(engine) -> None:
    inputs = np.random.default_rng(0).random((4, 2, 5, 5), dtype=np.float32)
    given = engine(inputs)
    assert isinstance(given, np.ndarray)
    assert given.dtype == np.float32
    assert np.array_equal(given, engine(torch.from_numpy(inputs)).numpy())


def test_arrays_of_every_order(engine) -> None:
    inputs = np.random.default_rng(0).random((4, 5, 5, 2), dtype=np.float32)
    expected = engine(np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)))
    assert np.array_equal(engine(inputs.transpose(0, 3, 1, 2)), expected)
    flipped = engine(np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)[::-1]))
    assert np.array_equal(engine(inputs.transpose(0, 3, 1, 2)[::-1]), flipped)
    frozen = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
    frozen.flags.writeable = False
    assert np.array_equal(engine(frozen), expected)


def test_tensors_of_every_order(engine) -> None:
    inputs = torch.randn(4, 2, 5, 5)
    expected = engine(inputs)
    assert torch.equal(engine(inputs.contiguous(memory_format=torch.channels_last)), expected)
    assert torch.equal(engine(inputs.expand(2, 4, 2, 5, 5)[1].clone().requires_grad_()), expected)


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        (torch.zeros(2, 5, 5), "2x5x5"),
        (torch.zeros(1, 2, 5, 6), "1x2x5x6"),
        (torch.zeros(1, 1, 2, 5, 5), "1x1x2x5x5"),
        (torch.zeros(()), r"\(\)"),
        (torch.zeros(1, 2, 5, 5).double(), "float64"),
        (torch.zeros(1, 2, 5, 5).half(), "float16"),
        (torch.zeros(1, 2, 5, 5, dtype=torch.int64), "int64"),
        (torch.zeros(1, 2, 5, 5, device="meta"), "meta"),
        (torch.zeros(1, 2, 5, 5).to_sparse(), "sparse"),
        (np.zeros((1, 2, 5, 5)), "float64"),
        (np.zeros((1, 2, 5, 5), dtype=">f4"), ">f4"),
        (np.zeros((1, 2, 5, 5), dtype=object), "object"),
        ([[0.0]], "list"),
        (None, "NoneType"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_bad_inputs(engine, inputs, word) -> None:
    with pytest.raises(ModelError, match=f"the input is .*{word}"):
        engine(inputs)


def test_not_a_number_and_infinity_go_through(engine, net) -> None:
    inputs = torch.randn(3, 2, 5, 5)
    inputs[1] = float("nan")
    inputs[2] = float("inf")
    given = engine(inputs)
    assert torch.allclose(given[0], net(inputs)[0], atol=1e-5)
    assert given[1].isnan().any()
    assert not given[2].isfinite().all()


def test_the_model_is_left_as_it_was() -> None:
    net = small().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    secateur.compile(net, torch.ones(2, 2, 5, 5), backend="torch")
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_change_after_packing_is_noticed_if_asked(engine, net, exact, close) -> None:
    other = small()
    other.load_state_dict(net.state_dict())
    assert not engine.is_stale(other)
    with torch.no_grad():
        other[4].bias[0] += 1
    assert engine.is_stale(other)
    inputs = torch.randn(2, 2, 5, 5)
    close(engine(inputs), exact(net, inputs))


def test_compiled_from_a_file(engine, net, tmp_path) -> None:
    save(net, tmp_path / "net.safetensors")
    again = secateur.compile(
        load(tmp_path / "net.safetensors", small), torch.zeros(1, 2, 5, 5), backend="torch"
    )
    inputs = torch.randn(2, 2, 5, 5)
    assert torch.allclose(again(inputs), engine(inputs), atol=1e-5)


def test_many_threads(engine, net, exact, close) -> None:
    inputs = [torch.randn(n, 2, 5, 5) for n in (1, 1, 9, 30)]
    found: dict[int, Tensor] = {}

    def go(number: int) -> None:
        for _ in range(20):
            found[number] = engine(inputs[number])

    workers = [threading.Thread(target=go, args=(number,)) for number in range(len(inputs))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number, given in found.items():
        close(given, exact(net, inputs[number]))
    assert len(found) == len(inputs)


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


def test_what_the_kernels_do_not_know_is_named() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4), nn.GELU())
    engine = secateur.compile(net, torch.ones(3, 4), seconds=0)
    assert "Runs in torch: aten.gelu (2 times): no kernel." in str(engine)


def test_float64_runs_in_torch() -> None:
    net = nn.Linear(4, 2).double()
    engine = secateur.compile(net, torch.ones(2, 4).double(), seconds=0)
    inputs = torch.randn(3, 4).double()
    assert torch.equal(engine(inputs), net(inputs))


def test_the_report_shows_each_layer_and_the_choice(engine) -> None:
    lines = str(engine).splitlines()
    assert "Nx2x5x5" in lines[0]
    (first,) = [line for line in lines if line.startswith("batch 1 ")]
    assert first.split()[2:4] == ["weight", "zeros"]
    rows = [line for line in lines if line.startswith("4 ")]
    assert len(rows) == 2
    assert all(row.split()[1] == "3x36" for row in rows)
    wholes = [line.split()[-2] for line in lines if line.startswith("whole")]
    assert wholes == [choice.backend for choice in engine.choices.values()]
    assert repr(engine).startswith("<Engine for 2x5x5, by batch 1: ")


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


def test_a_net_without_zeros_is_not_tried_on_the_sparse_kernels() -> None:
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
