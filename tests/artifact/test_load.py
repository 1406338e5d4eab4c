"""Loading: the user's own class, shrunk and filled, bit by bit the network that was saved."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import secateur
from secateur import models
from secateur.artifact.load import load, load_state_dict
from secateur.artifact.manifest import Source
from secateur.artifact.save import save
from secateur.channels import compact_with_record
from secateur.errors import ArtifactError, ChannelError, ModelError
from secateur.registry import METHODS


class Heads(nn.Module):
    """Attention by hand, with its sizes as numbers of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.width = 4, 8
        self.mixed = nn.Linear(6, 3 * 32)
        self.out = nn.Linear(32, 5)
        self.register_buffer("scale", torch.full((1,), 8**-0.5), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        parts = self.mixed(x).view(n, t, 3, self.heads, self.width).permute(2, 0, 3, 1, 4)
        weights = (parts[0] @ parts[1].transpose(-1, -2) * self.scale).softmax(-1)
        return self.out((weights @ parts[2]).transpose(1, 2).reshape(n, t, -1))


class Depthwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 1)
        self.norm = nn.GroupNorm(4, 16)
        self.deep = nn.Conv2d(16, 16, 3, groups=16)
        self.slope = nn.PReLU(16)
        self.last = nn.ConvTranspose2d(16, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.slope(self.deep(self.norm(self.first(x)))))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.mix(self.embed(x))))


def sequential() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(32, 12), nn.LayerNorm(12), nn.GELU(), nn.Linear(12, 4),
    )  # fmt: skip


def normed() -> nn.Module:
    return nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(6, 12)), nn.ReLU(), nn.Linear(12, 3)
    )


def recurrent() -> nn.Module:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before = nn.Linear(6, 8)
            self.core = nn.LSTM(8, 5, batch_first=True)
            self.after = nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.after(self.core(self.before(x).relu())[0][:, -1])

    return Last()


ZOO: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "sequential": (sequential, torch.rand(2, 3, 8, 8)),
    "heads": (Heads, torch.rand(2, 7, 6)),
    "depthwise": (Depthwise, torch.rand(2, 3, 6, 6)),
    "tied": (Tied, torch.randint(10, (2, 5))),
    "weight norm": (normed, torch.rand(2, 6)),
    "recurrent": (recurrent, torch.rand(2, 4, 6)),
}


def check_same(saved: nn.Module, loaded: nn.Module, example: Tensor) -> None:
    """Bit-identical outputs, and a state dict of the same names, types, strides and bits."""
    with torch.no_grad():
        given, expected = loaded(example), saved.eval()(example)
    assert torch.equal(
        given.contiguous().view(torch.uint8), expected.contiguous().view(torch.uint8)
    )
    ours, theirs = saved.state_dict(), loaded.state_dict()
    assert list(ours) == list(theirs)
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        assert tensor.stride() == theirs[name].stride()
        assert torch.equal(tensor, theirs[name])


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("sparsity", [0.3, 0.6])
def test_a_compact_net_comes_back_in_the_users_class(
    tmp_path: Path, name: str, sparsity: float
) -> None:
    build, example = ZOO[name]
    torch.manual_seed(0)
    net = build().eval()
    try:
        masks = secateur.prune(
            net,
            "random-filter",
            sparsity=sparsity,
            scope="all",
            granularity="channel",
            example_inputs=example,
        )
        small = compact_with_record(net, masks, example).model
    except ChannelError as error:
        pytest.skip(f"cannot be cut: {error}")
    save(small, tmp_path / "x")
    torch.manual_seed(1)
    loaded = load(tmp_path / "x", build)
    check_same(small, loaded, example)
    assert repr(small) == repr(loaded)


@pytest.mark.parametrize("name", ZOO)
def test_a_masked_net_comes_back(tmp_path: Path, name: str) -> None:
    build, example = ZOO[name]
    net = build()
    masks = secateur.prune(net, "magnitude", sparsity=0.9)
    save(net, tmp_path / "x", masks)
    check_same(net, load(tmp_path / "x", build), example)


@pytest.mark.parametrize("method", ["magnitude", "l1-filter", "slimming", "combined"])
@pytest.mark.parametrize("model", ["lenet-5", "resnet20"])
def test_reference_nets_need_no_builder(tmp_path: Path, model: str, method: str) -> None:
    torch.manual_seed(0)
    net = models.build(model, (1, 28, 28), 4).eval()
    example = torch.rand(2, 1, 28, 28)
    levels = [0.5] * len(METHODS[method].parts)
    if METHODS[method].prepare and model == "lenet-5":
        pytest.skip("no batch norm")
    masks = secateur.prune(net, method, sparsity=levels, example_inputs=example)
    compaction = compact_with_record(net, masks, example)
    save(
        compaction.model,
        tmp_path / "x",
        masks,
        kept=compaction.kept,
        dense=net,
        source=Source(name=model, shape=[1, 28, 28], classes=4),
    )
    check_same(compaction.model, load(tmp_path / "x"), example)


def test_another_process_in_another_directory(tmp_path: Path) -> None:
    net = models.build("lenet-5", (1, 28, 28), 4).eval()
    example = torch.rand(2, 1, 28, 28)
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, example_inputs=example)
    small = compact_with_record(net, masks, example).model.eval()
    path = tmp_path / "net.safetensors"
    save(small, path, source=Source(name="lenet-5", shape=[1, 28, 28], classes=4))
    save_file({"example": example, "output": small(example).detach()}, tmp_path / "io")
    script = (
        "import sys, torch; from safetensors.torch import load_file;"
        "from secateur.artifact.load import load;"
        "io = load_file(sys.argv[2]);"
        "assert torch.equal(load(sys.argv[1])(io['example']), io['output'])"
    )
    (tmp_path / "away").mkdir()
    subprocess.run(
        [sys.executable, "-c", script, str(path), str(tmp_path / "io")],
        cwd=tmp_path / "away",
        check=True,
    )


def test_ties_types_and_memory_formats_come_back(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    net.to(memory_format=torch.channels_last)
    net[2].weight = net[1].weight
    net.bfloat16()
    save(net, tmp_path / "x")

    def untied() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))

    loaded = load(tmp_path / "x", untied)
    assert loaded[2].weight is loaded[1].weight
    assert loaded[0].weight.is_contiguous(memory_format=torch.channels_last)
    check_same(net, loaded, torch.rand(1, 3, 9, 9, dtype=torch.bfloat16))


def test_two_names_of_one_module_for_one_tensor_come_back(tmp_path: Path) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.ones(3))
            self.b = self.a

        def forward(self, x: Tensor) -> Tensor:
            return x * self.a + self.b

    save(Twice(), tmp_path / "x")
    loaded = load(tmp_path / "x", Twice)
    assert loaded.a is loaded.b
    check_same(Twice(), loaded, torch.rand(3))


def test_odd_bits_survive(tmp_path: Path) -> None:
    net = nn.Linear(40, 40)
    with torch.no_grad():
        net.weight.zero_()
        net.weight[0, :5] = torch.tensor([-0.0, float("nan"), float("inf"), 1e-45, -1e-45])
        net.weight[0, 5] = torch.tensor(0x7FC00123, dtype=torch.int32).view(torch.float32)
    save(net, tmp_path / "x")
    state = load_state_dict(tmp_path / "x")
    assert torch.equal(state["weight"].view(torch.int32), net.weight.detach().view(torch.int32))


def test_a_frozen_parameter_of_the_class_stays_frozen(tmp_path: Path) -> None:
    def build() -> nn.Module:
        net = nn.Linear(2, 2)
        net.bias.requires_grad_(False)
        return net

    save(nn.Linear(2, 2), tmp_path / "x")
    loaded = load(tmp_path / "x", build)
    assert loaded.weight.requires_grad
    assert not loaded.bias.requires_grad
    assert not loaded.training


def test_a_loaded_net_can_be_trained_and_saved_again(tmp_path: Path) -> None:
    save(sequential(), tmp_path / "x")
    net = load(tmp_path / "x", sequential).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.rand(4, 3, 8, 8)).sum().backward()
    optimizer.step()
    save(net, tmp_path / "y")
    check_same(net, load(tmp_path / "y", sequential), torch.rand(2, 3, 8, 8))


def test_a_net_shrunk_by_others_comes_back_from_any_safetensors_file(tmp_path: Path) -> None:
    small = Depthwise()
    small.first, small.norm = nn.Conv2d(3, 8, 1), nn.GroupNorm(4, 8)
    small.deep, small.slope = nn.Conv2d(8, 8, 3, groups=8), nn.PReLU(8)
    small.last = nn.ConvTranspose2d(8, 4, 2)
    save_file(small.state_dict(), tmp_path / "x")
    check_same(small, load(tmp_path / "x", Depthwise), torch.rand(1, 3, 6, 6))
    save(small, tmp_path / "y")
    check_same(small, load(tmp_path / "y", Depthwise), torch.rand(1, 3, 6, 6))


def test_a_tie_that_others_left_out_of_the_file_is_known(tmp_path: Path) -> None:
    net = Tied()
    state = net.state_dict()
    del state["head.weight"]
    save_file(state, tmp_path / "x")
    loaded = load(tmp_path / "x", Tied)
    assert loaded.head.weight is loaded.embed.weight
    check_same(net, loaded, torch.arange(5)[None])


def test_buffers_of_no_state_dict_come_back_and_stay_out_of_it(tmp_path: Path) -> None:
    net = Heads()
    net.scale.fill_(3.0)
    save(net, tmp_path / "x")
    assert load(tmp_path / "x", Heads).scale.item() == 3.0
    assert "scale" not in load_state_dict(tmp_path / "x")


@pytest.mark.parametrize(
    ("build", "given"),
    [
        (lambda: nn.Sequential(nn.Linear(4, 2)), "does not have"),
        (nn.Identity, "does not have"),
        (lambda: nn.Linear(3, 3), r"of shape \(3, 3\)"),
        (lambda: nn.Conv1d(4, 3, 1), r"of shape \(3, 4, 1\)"),
        (lambda: nn.ModuleDict({"more": nn.Linear(1, 1)}), "does not have"),
    ],
)
def test_another_network_is_refused(
    tmp_path: Path, build: Callable[[], nn.Module], given: str
) -> None:
    save(nn.Linear(4, 3), tmp_path / "x")
    with pytest.raises(ModelError, match=given):
        load(tmp_path / "x", build)


def test_a_tensor_too_few_is_refused(tmp_path: Path) -> None:
    save(nn.Linear(4, 3, bias=False), tmp_path / "x")
    with pytest.raises(ModelError, match="without some"):
        load(tmp_path / "x", lambda: nn.Linear(4, 3))


def test_a_tie_to_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    class Bare(nn.Module):
        def __init__(self, tied: bool) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.zeros(4))
            self.b = self.a if tied else nn.Parameter(torch.zeros(4, 4))

    save(Bare(tied=True), tmp_path / "x")
    with pytest.raises(ModelError, match=r"b is of shape \(4, 4\)"):
        load(tmp_path / "x", lambda: Bare(tied=False))


@pytest.mark.parametrize("source", [None, "os:system", "mine:net", "lenet-5"])
def test_a_file_never_names_what_is_imported(tmp_path: Path, source: str | None) -> None:
    save(nn.Linear(4, 3), tmp_path / "x", source=source)
    with pytest.raises(ArtifactError, match="build_model"):
        load(tmp_path / "x")


@pytest.mark.parametrize(
    ("shape", "classes"), [([3, 60_000, 60_000], 5), ([3, 32, 32], 1 << 40), ([1 << 60] * 3, 2)]
)
def test_a_reference_net_larger_than_its_file_is_not_built(
    tmp_path: Path, shape: list[int], classes: int
) -> None:
    source = Source(name="lenet-300-100", shape=shape, classes=classes)
    save(nn.Linear(4, 3), tmp_path / "x", source=source)
    with pytest.raises((ArtifactError, ModelError)):
        load(tmp_path / "x")


def test_a_file_that_unfolds_to_far_more_than_it_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secateur.artifact.reader._ALWAYS_ALLOWED", 1 << 20)
    net = nn.Linear(1 << 11, 1 << 10, bias=False)
    nn.init.zeros_(net.weight)
    save(net, tmp_path / "x")
    assert (tmp_path / "x").stat().st_size < 1000
    with pytest.raises(ArtifactError, match="unfold to 8,388,608"):
        load_state_dict(tmp_path / "x")
    assert load(tmp_path / "x", lambda: net) is net


class Sizes(NamedTuple):
    height: int
    width: int


_FIRST = {
    "None": None, "counter": 0, "flag": False, "float": 0.0, "list": [], "tuple": (1,), "dict": {},
    "pair": Sizes(1, 1), "number, then tuple": 0, "number, then None": 1, "word": "", "huge": 0,
}  # fmt: skip
_LATER: dict[str, Callable[[Any, Tensor], object]] = {
    "None": lambda _, x: len(x),
    "made": lambda _, x: len(x),
    "counter": lambda seen, _: seen + 1,
    "flag": lambda *_: True,
    "float": lambda _, x: len(x),
    "list": lambda seen, x: [*seen, len(x)],
    "tuple": lambda _, x: tuple(x.shape),
    "dict": lambda _, x: {len(x): 1},
    "pair": lambda _, x: Sizes(*x.shape),
    "number, then tuple": lambda _, x: (len(x),),
    "number, then None": lambda *_: None,
    "word": lambda *_: "seen",
    "huge": lambda *_: 1 << 80,
    "long": lambda *_: list(range(9999)),
    "tensor": lambda _, x: x,
}


class Remembers(nn.Module):
    """Keeps something of what it has seen."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.inner, self.outer, self.kind = nn.Linear(8, 16), nn.Linear(16, 4), kind
        if kind in _FIRST:
            self.seen = _FIRST[kind]

    def forward(self, x: Tensor) -> Tensor:
        self.seen = _LATER[self.kind](getattr(self, "seen", None), x)
        return self.outer(torch.relu(self.inner(x)))


def cut_saved_and_loaded(
    net: nn.Module, x: Tensor, path: Path, build: Callable[[], nn.Module]
) -> tuple[nn.Module, nn.Module]:
    masks = secateur.prune(net, "magnitude", sparsity=0.5)
    small = secateur.compact(net, masks, x)
    save(small, path, example_inputs=x)
    return small, load(path, build)


@pytest.mark.parametrize("kind", _LATER)
def test_what_a_module_remembers_does_not_keep_its_file_from_loading(
    tmp_path: Path, kind: str
) -> None:
    x = torch.randn(3, 8)
    net = Remembers(kind).eval()
    net(x)
    small, loaded = cut_saved_and_loaded(net, x, tmp_path / "x", lambda: Remembers(kind))
    if kind in ("counter", "float", "list", "tuple", "pair"):
        assert loaded.seen == small.seen
    assert torch.equal(loaded(x), small(x))
    assert torch.equal(loaded(x[:2]), small(x[:2]))


class Caches(nn.Module):
    """Registers, fills or enlarges a buffer when it runs."""

    def __init__(self, first: Tensor | None, *, registered: bool, persistent: bool) -> None:
        super().__init__()
        self.linear, self.persistent = nn.Linear(3, 3), persistent
        if registered:
            self.register_buffer("cache", first, persistent=persistent)

    def forward(self, x: Tensor) -> Tensor:
        if getattr(self, "cache", None) is None or self.cache.numel() == 0:
            self.register_buffer("cache", x.mean(0).detach(), persistent=self.persistent)
        return self.linear(x) + self.cache


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize(
    ("first", "registered"), [(None, True), (torch.empty(0), True), (None, False)]
)
def test_a_buffer_that_comes_when_the_net_runs_comes_back(
    tmp_path: Path, first: Tensor | None, registered: bool, persistent: bool
) -> None:
    def build() -> nn.Module:
        return Caches(first, registered=registered, persistent=persistent)

    net = build()
    net(torch.ones(2, 3))
    save(net, tmp_path / "x")
    loaded = load(tmp_path / "x", build)
    other = torch.randn(4, 3)
    assert torch.equal(loaded(other), net(other))
    assert loaded.state_dict().keys() == net.state_dict().keys()


def test_a_class_without_the_cache_does_without_it(tmp_path: Path) -> None:
    net = nn.Linear(3, 3)
    net.register_buffer("cache", torch.ones(3), persistent=False)
    save(net, tmp_path / "x")
    assert "cache" not in dict(load(tmp_path / "x", lambda: nn.Linear(3, 3)).named_buffers())


def test_torchs_own_layers_are_given_no_buffer_that_they_do_not_have(tmp_path: Path) -> None:
    save(nn.BatchNorm1d(2, affine=False), tmp_path / "x")
    with pytest.raises(ModelError, match="tensors that the network does not have"):
        load(tmp_path / "x", nn.Identity)


class Named(nn.Module):
    """One layer under two names, lists and dicts of parameters, names with blanks."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16)
        self.b = nn.Linear(16, 16, bias=False)
        self.c = self.b
        self.listed = nn.ParameterList([torch.randn(16, 8)])
        self.named = nn.ParameterDict({"w": torch.randn(8, 4)})
        self.heads = nn.ModuleDict({"a b": nn.Linear(4, 2, bias=False)})

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.a(x)).relu()
        y = self.c(self.b(y).relu()).relu()
        return self.heads["a b"](y @ self.listed[0] @ self.named["w"])


def with_convolutions(rank: int, wrap: Callable[[nn.Module], nn.Module] = lambda m: m) -> nn.Module:
    conv, norm = getattr(nn, f"Conv{rank}d"), getattr(nn, f"BatchNorm{rank}d")
    pool = getattr(nn, f"AdaptiveAvgPool{rank}d")
    return nn.Sequential(
        wrap(conv(3, 16, 3, bias=False)), norm(16), nn.ReLU(),
        wrap(conv(16, 24, 1, bias=False)), nn.ReLU(), pool(1), nn.Flatten(), nn.Linear(24, 4),
    )  # fmt: skip


def lazily() -> nn.Module:
    return nn.Sequential(
        nn.LazyLinear(16, bias=False), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(4, bias=False)
    )


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    ("build", "shape", "gains"),
    [
        (lambda: with_convolutions(1), (4, 3, 8), "3.bias"),
        (lambda: with_convolutions(2), (4, 3, 8, 8), "3.bias"),
        (lambda: with_convolutions(3), (4, 3, 5, 5, 5), "3.bias"),
        (lambda: with_convolutions(1, nn.utils.weight_norm), (4, 3, 8), ""),
        (lambda: with_convolutions(1, nn.utils.spectral_norm), (4, 3, 8), ""),
        (lambda: with_convolutions(1, nn.utils.parametrizations.weight_norm), (4, 3, 8), ""),
        (lazily, (5, 8), "3.bias"),
        (Named, (5, 8), ""),
    ],
)
def test_a_bias_that_compact_has_added_loads_into_the_users_class(
    tmp_path: Path, build: Callable[[], nn.Module], shape: tuple[int, ...], gains: str
) -> None:
    torch.manual_seed(0)
    net, x = build(), torch.randn(shape)
    net(x)
    net.eval()
    with torch.no_grad():
        first = next(net.parameters())
        first[:6] *= 0.001
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.bias += 0.3
    small, loaded = cut_saved_and_loaded(net, x, tmp_path / "x", build)
    assert not gains or gains in dict(small.named_parameters())
    assert torch.equal(loaded(x), small(x))
    assert loaded.state_dict().keys() == small.state_dict().keys()


def test_a_lazy_net_is_loaded_before_it_has_run(tmp_path: Path) -> None:
    net, x = lazily(), torch.randn(5, 8)
    net(x)
    save(net.eval(), tmp_path / "x")
    loaded = load(tmp_path / "x", lazily)
    assert torch.equal(loaded(x), net(x))
    assert loaded[0].in_features == 8
