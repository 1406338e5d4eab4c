"""Compiling: any network, on any backend that can run it, and what is refused."""

import copy
import pickle
from collections import UserDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.utils.prune
from torch import Tensor, nn

import secateur
from secateur import models
from secateur.artifact.load import load
from secateur.artifact.save import save
from secateur.errors import ModelError, UnknownNameError, UsageError
from secateur.foundation.run_example import arguments, each_tensor, tensors_in


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
    monkeypatch.setattr("secateur.runtime.kernels.library.available", lambda: False)
    monkeypatch.setattr("secateur.runtime.kernels.library.why_not", lambda: "no compiler.")
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
    with pytest.raises(UsageError, match="threads is 'two'"):
        secateur.compile(net, example, threads="two")
    with pytest.raises(UsageError, match="seconds is None"):
        secateur.compile(net, example, seconds=None)
    with pytest.raises(ModelError, match="not built yet"):
        secateur.compile(nn.LazyLinear(2), torch.zeros(1, 2))
    with pytest.raises(UsageError, match=r"the backend is 'sparse'"):
        secateur.compile(nn.LSTM(4, 4), torch.zeros(2, 3, 4), backend="sparse")


def test_numbers_of_numpy_and_torch_are_numbers(net) -> None:
    example = torch.zeros(2, 2, 5, 5)
    engine = secateur.compile(
        net,
        example,
        threads=np.int64(1),
        batches=[torch.tensor(2), np.uint8(3)],  # type: ignore[list-item]
        seconds=np.float32(0),
    )
    assert list(engine.choices) == [2, 3]


class Net(nn.Module):
    """Layers of every kind, and a forward of the test's own."""

    def __init__(self, run: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 4, 3)
        self.linear, self.norm = nn.Linear(16, 16), nn.BatchNorm2d(16)
        self.per_channel = nn.Parameter(torch.randn(16))
        self.register_buffer("steps", torch.zeros(1))
        self.seen, self.run = 0, run

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def shuffled(net: Net, x: Tensor) -> Tensor:
    y = net.a(x).relu()
    b, c, h, w = y.shape
    return net.b(y.view(b, 4, c // 4, h, w).transpose(1, 2).contiguous().view(b, c, h, w))


def attention(net: Net, x: Tensor) -> Tensor:
    y = net.linear(net.a(x).flatten(2).transpose(1, 2))
    b, n, d = y.shape
    q = y.view(b, n, 4, 4).permute(0, 2, 1, 3)
    scores = (q @ q.transpose(-1, -2)).softmax(-1)
    return (scores @ q).transpose(1, 2).contiguous().view(b, n, d)


def excited(net: Net, x: Tensor) -> Tensor:
    y = net.a(x).relu()
    w = y.mean((2, 3))
    gate = torch.sigmoid(net.linear(w) + net.linear(torch.zeros_like(w)))
    return net.b(y * gate[:, :, None, None])


def counted(net: Net, x: Tensor) -> Tensor:
    net.seen += 1
    return net.b(net.a(x)) + net.seen


def halves(net: Net, x: Tensor) -> Tensor:
    first, second = net.a(x).split(8, 1)
    return net.b(torch.cat([second, torch.zeros_like(first)], 1))


def written(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    y[:, 0] = 0.0
    return net.b(y.add_(1).mul_(2))


def aliased(net: Net, x: Tensor) -> tuple[Tensor, Tensor]:
    y = net.a(x)
    return y, y.flatten(1)


PLANNED = {
    "shuffled": shuffled,
    "attention": attention,
    "excited": excited,
    "halves": halves,
    "full_like": lambda n, x: n.b(torch.full_like(n.a(x), 2.0) * n.a(x)),
    "zeros of the batch": lambda n, x: torch.zeros(x.shape[0], 4) + n.b(n.a(x)).mean((2, 3)),
    "channels last": lambda n, x: n.b(n.a(x.to(memory_format=torch.channels_last)).relu()),
    "permuted": lambda n, x: n.linear(n.a(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
    "flattened": lambda n, x: n.b(n.a(x)).permute(0, 2, 3, 1).contiguous().flatten(1)[:, :64],
    "viewed as": lambda n, x: n.b(n.a(x).reshape(x.shape[0], -1).view_as(n.a(x))),
    "literal": lambda n, x: n.b(n.a(x) * torch.tensor([2.0])),
    "in place on the input": lambda n, x: n.b(n.a(x.mul_(1.5))),
    "through half": lambda n, x: n.b(n.a(x).half().float()),
    "identity": lambda _, x: x,
    "classes": lambda n, x: n.b(n.a(x)).argmax(1),
    "complex": lambda n, x: torch.fft.fft(n.b(n.a(x))),
    "mean of all": lambda n, x: n.b(n.a(x)).mean(),
    "two outputs": aliased,
    "a dict": lambda n, x: {"out": n.b(n.a(x)), "none": None, "more": [n.a(x)]},
    "relu6": lambda n, x: n.b(nn.functional.relu6(n.a(x))),
    "silu": lambda n, x: nn.functional.silu(n.b(n.a(x))).flatten(1),
    "viewed": lambda n, x: n.a(x).view(x.size(0), -1),
    "squeezed": lambda n, x: n.b(n.a(x)).mean((1, 2)).unsqueeze(-1).squeeze(-1),
    "concatenated": lambda n, x: n.b(torch.cat([n.a(x)[:, :8], n.a(x)[:, 8:].relu()], 1)),
    "rows": lambda n, x: n.linear(n.linear(n.a(x).flatten(2).transpose(1, 2)).relu()),
    "half at the end": lambda n, x: n.b(n.a(x)).half(),
    "double at the end": lambda n, x: n.b(n.a(x)).double().sum(),
    "time in front": lambda n, x: n.linear(n.a(x).flatten(2).permute(2, 0, 1)).permute(1, 0, 2),
    "constant": lambda n, x: n.per_channel.expand(x.shape[0], 16),
}
WHOLE: dict[str, Callable[[Any, Tensor], Any]] = {
    "counted": counted,
    "counted in a buffer": lambda n, x: n.b(n.a(x)) * n.steps.add_(1),
    "written": written,
    "strides": lambda n, x: n.b(n.a(x)).as_strided((len(x), 4), (144, 1)),
    "a number": lambda n, x: (n.b(n.a(x)), len(x)),
    "a branch": lambda n, x: n.b(n.a(x)) if x.mean() > 0 else n.b(-n.a(x)),
}


def check_same(given: Any, expected: Any) -> None:
    assert type(given) is type(expected)
    pairs = list(zip(tensors_in(given), tensors_in(expected), strict=True))
    assert pairs
    for one, other in pairs:
        assert one.dtype == other.dtype
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("name", [*PLANNED, *WHOLE])
def test_whatever_a_net_does_the_answers_are_its_own(name: str, backend: str | None) -> None:
    net = Net(PLANNED.get(name) or WHOLE[name]).eval()
    secateur.prune(net, "magnitude", sparsity=0.9)
    engine = secateur.compile(net, torch.randn(2, 3, 8, 8), seconds=0, backend=backend, threads=1)
    assert (engine.graph is None) == (name in WHOLE), engine.report()
    assert engine.graph is not None or engine.why_whole in str(engine)
    for size in (2, 1, 5):
        x = torch.randn(size, 3, 8, 8)
        check_same(engine(x.clone()), net(x.clone()))


def test_no_example_gives_an_output_of_the_nets_own_type() -> None:
    engine = secateur.compile(Net(PLANNED["classes"]), torch.zeros(2, 3, 8, 8), seconds=0)
    assert engine(torch.zeros(0, 3, 8, 8)).dtype == torch.int64


def test_a_net_that_draws_numbers_draws_them_anew() -> None:
    net = Net(lambda n, x: n.b(n.a(x) + torch.rand(16, 1, 1)))
    engine = secateur.compile(net, torch.zeros(1, 3, 8, 8), seconds=0)
    x = torch.zeros(1, 3, 8, 8)
    assert "draws random numbers" in engine.why_whole
    assert not torch.equal(engine(x), engine(x))


def test_a_batch_of_one_that_loses_its_axis_is_as_the_net_gives_it() -> None:
    net = Net(lambda n, x: n.a(x).mean((2, 3), keepdim=True).squeeze())
    engine = secateur.compile(net, torch.zeros(2, 3, 8, 8), seconds=0)
    x = torch.randn(1, 3, 8, 8)
    assert torch.allclose(engine(x), net(x), atol=1e-6)
    assert "Left out: torch-folded: (1, 16), torch.float32 instead" in str(engine)


@pytest.mark.parametrize("backend", [None, "torch-folded"])
@pytest.mark.parametrize("wrong", ["an error", "a number", "a shape", "a type"])
def test_a_plan_that_is_wrong_is_not_handed_out(monkeypatch, wrong: str, backend) -> None:
    def run(_self: object, x: Tensor) -> Tensor:
        if wrong == "an error":
            raise KeyError("a node")
        output = torch.nn.functional.linear(x, net.weight, net.bias)
        return {
            "a number": output + 0.1,
            "a shape": output[:, :1],
            "a type": output.double(),
        }[wrong]

    net = nn.Linear(4, 2)
    monkeypatch.setattr("secateur.runtime.compiler.plan.Plan.__call__", run)
    engine = secateur.compile(net, torch.randn(2, 4), seconds=0, backend=backend)
    x = torch.randn(2, 4)
    assert torch.allclose(engine(x), net(x), atol=1e-6)
    assert ("the plan ended in" if backend else "Left out: torch-folded: ") in str(engine)


class Siamese(nn.Module):
    """Two images, an optional mask and a flag."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(
        self, left: Tensor, right: Tensor, mask: Tensor | None = None, *, loud: bool = False
    ) -> dict[str, Tensor]:
        apart = self.conv(left) - self.conv(right)
        apart = apart if mask is None else apart * mask
        return {"apart": apart.abs() if loud else apart}


def pairs(size: int) -> dict[str, Any]:
    left, right = torch.randn(2, size, 3, 6, 6)
    return {
        "a tuple": (left, right),
        "a list": [left, right, None],
        "a dict": {"right": right, "left": left, "loud": True},
        "an encoding": UserDict(left=left, right=right, mask=torch.ones(size, 1, 1, 1)),
    }


@pytest.mark.parametrize("form", ["a tuple", "a list", "a dict", "an encoding"])
def test_several_inputs_are_taken_as_the_net_takes_them(form: str) -> None:
    net = Siamese()
    engine = secateur.compile(net, pairs(2)[form], seconds=0)
    assert engine.graph is not None, engine.report()
    for size in (2, 3):
        inputs = pairs(size)[form]
        args, kwargs = arguments(inputs)
        expected = net(*args, **kwargs)
        check_same(engine(inputs), expected)
        check_same(engine(*args, **kwargs), expected)
    arrays = each_tensor(pairs(2)["a dict"], lambda one: one.numpy())  # type: ignore[return-value]
    assert isinstance(engine(**arrays)["apart"], np.ndarray)
    with pytest.raises(ModelError, match="running the engine: the network on an input of 1"):
        engine(torch.zeros(1))


def test_a_call_of_another_form_than_the_examples_is_the_nets_own() -> None:
    net = Siamese()
    left, right = torch.randn(2, 2, 3, 6, 6)
    engine = secateur.compile(net, {"left": left, "right": right}, seconds=0)
    for more in ({}, {"loud": True}, {"mask": torch.zeros(2, 1, 1, 1)}):
        inputs = {"right": torch.randn(2, 3, 6, 6), "left": torch.randn(2, 3, 6, 6), **more}
        check_same(engine(**inputs), net(**inputs))
    wider = torch.randn(2, 2, 3, 9, 9)
    check_same(engine(*wider), net(*wider))


def test_sequences_of_any_length_run_in_one_plan() -> None:
    net = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8), nn.ReLU()).eval()
    secateur.prune(net, "magnitude", sparsity=0.9)
    engine = secateur.compile(net, torch.randn(2, 5, 8), seconds=0, threads=1, dynamic=(1,))
    for backend in ("sparse", "mixed", None):
        if backend is not None:
            engine = secateur.compile(
                net, torch.randn(2, 5, 8), threads=1, dynamic=(1,), backend=backend
            )
        for size, length in ((2, 5), (3, 9), (1, 1), (4, 2)):
            x = torch.randn(size, length, 8)
            check_same(engine(x), net(x))
    with pytest.raises(ModelError, match=r"expected Nx\?x8"):
        engine(torch.randn(2, 5, 7))
    with pytest.raises(ModelError, match="Nx5x8"):
        secateur.compile(net, torch.randn(2, 5, 8), seconds=0)(torch.randn(2, 4, 8))


def test_a_length_that_a_net_fixes_runs_at_others_as_it_is() -> None:
    net = Net(lambda n, x: n.linear(x) + n.per_channel.expand(4, 16)[: x.shape[1]])
    net_of_four = Net(lambda n, x: n.linear(x) if x.shape[1] == 4 else -n.linear(x))
    for each in (net, net_of_four):
        engine = secateur.compile(each, torch.randn(2, 4, 16), seconds=0, dynamic=(1,))
        for length in (4, 3):
            x = torch.randn(2, length, 16)
            check_same(engine(x), each(x))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "wrap",
    [
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        nn.utils.parametrizations.weight_norm,
        lambda layer: nn.utils.prune.l1_unstructured(layer, "weight", 0.5),
        lambda layer: torch.compile(layer, backend="eager"),
        nn.DataParallel,
    ],
)
def test_wrapped_layers_compile_and_stay_as_they_were(wrap: Callable[[Any], nn.Module]) -> None:
    net = nn.Sequential(wrap(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 2))
    x = torch.randn(4, 8)
    net(x)
    net.eval()
    before = {name: one.clone() for name, one in net.state_dict().items()}
    engine = secateur.compile(net, x, seconds=0)
    assert torch.allclose(engine(x), net(x), atol=1e-5)
    assert not engine.is_stale(net)
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())


def test_an_engine_is_not_pickled_and_its_copy_is_itself(engine) -> None:
    with pytest.raises(ModelError, match=r"secateur\.save"):
        pickle.dumps(engine)
    assert copy.deepcopy(engine) is engine
    assert copy.copy(engine) is engine


def test_the_threads_of_torch_are_put_back(net) -> None:
    before = torch.get_num_threads()
    secateur.compile(net, torch.zeros(1, 2, 5, 5), threads=3, seconds=0)
    assert torch.get_num_threads() == before


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_scripted_net_runs_in_torch() -> None:
    net = torch.jit.script(nn.Sequential(nn.Linear(4, 2), nn.ReLU()))
    engine = secateur.compile(net, torch.zeros(2, 4), seconds=0)
    x = torch.randn(3, 4)
    assert torch.allclose(engine(x), net(x), atol=1e-6)


def test_compiling_draws_no_random_number_of_the_callers(small) -> None:
    net = small()
    secateur.prune(net, "magnitude", sparsity=0.9)
    before = torch.get_rng_state()
    secateur.compile(net, torch.ones(2, 2, 5, 5), seconds=0)
    assert torch.equal(torch.get_rng_state(), before)
