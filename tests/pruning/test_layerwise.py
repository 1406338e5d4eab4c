"""Which layers are mended, and what is said of the others; pruned elements stay zero whatever."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import secateur
from secateur.pruning.masks import Masks
from secateur.registry import REPAIRS

COMPARING = [name for name in REPAIRS if REPAIRS[name].needs_dense]


def net_of(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=bool(seed % 2)), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Conv2d(6, 6, 2, groups=1 + seed % 2), nn.GroupNorm(2, 6), nn.ReLU(), nn.Flatten(),
        nn.Linear(24, 5), nn.ReLU(), nn.Linear(5, 3, bias=bool(seed % 3)),
    )  # fmt: skip


@given(
    st.integers(0, 10**6),
    st.floats(0.1, 0.9),
    st.booleans(),
    st.lists(st.sampled_from(list(REPAIRS)), min_size=1, unique=True),
)
@settings(max_examples=25, deadline=None)
def test_pruned_elements_are_zero_by_the_bits(
    seed: int, share: float, channels: bool, how: list[str]
) -> None:
    net = net_of(seed)
    x = torch.randn(24, 2, 5, 5)
    if channels:
        masks = secateur.prune(net, "l1-filter", sparsity=0.4, example_inputs=x[:2])
    else:
        named = dict(net.named_parameters())
        masks = Masks({name: torch.rand(p.shape) > share for name, p in named.items()}).apply(net)
    if masks.removed is None:
        return
    secateur.repair(net, masks, x.split(9), how)
    for name, parameter in masks.parameters_of(net).items():
        bits = parameter.detach()[~masks[name]].view(torch.int32)
        assert not bits.any()
    assert all(bool(p.isfinite().all()) for p in net.parameters())
    if channels:  # and so the channels still leave exactly
        small = secateur.compact(net, masks, x[:2])
        with torch.no_grad():
            assert torch.allclose(small.eval()(x), net.eval()(x), atol=1e-4)


class Twice(nn.Module):
    """A layer that runs twice, one that never does, and one whose weight is used alone."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.idle, self.used = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
        self.last = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shared(self.shared(x).relu())
        out: Tensor = self.last(x @ self.used.weight.T)
        return out


@pytest.mark.parametrize("kind", COMPARING)
def test_layers_that_run_twice_or_never_are_named_and_left(kind: str) -> None:
    net = Twice()
    masks = Masks({"shared.weight": torch.rand(3, 3) > 0.5}).apply(net)
    before = copy.deepcopy(net.state_dict())
    (done,) = secateur.repair(net, masks, [torch.randn(9, 3)], kind)
    assert dict(done.left) == {
        "shared": "it runs more than once in a pass",
        "idle": "no batch reaches it",
        "used": "no batch reaches it",
    }
    assert done.layers == ("last",)
    for name in ("shared", "idle", "used"):
        assert torch.equal(net.state_dict()[f"{name}.weight"], before[f"{name}.weight"])


def test_other_layers_with_masks_and_layers_without_a_bias_are_named() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(3, 4, batch_first=True)
            self.flat = nn.Linear(4, 4, bias=False)
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(self.flat(self.rnn(x)[0]))
            return out

    net = Net()
    masks = Masks({"rnn.weight_ih_l0": torch.rand(12, 3) > 0.5}).apply(net)
    (done,) = secateur.repair(net, masks, [torch.randn(5, 6, 3)], "bias")
    assert dict(done.left) == {
        "rnn": "a GRU has no output channel to correct",
        "flat": "it has no bias of its own",
    }
    assert done.layers == ("head",)


def test_tied_weights_are_not_scaled_for_one_of_their_layers() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    masks = Masks({"0.weight": torch.rand(3, 3) > 0.5}).apply(net)
    cut = net[0].weight.detach().clone()
    (done,) = secateur.repair(net, masks, [torch.randn(30, 3)], "variance")
    assert torch.equal(net[0].weight, cut)
    assert {name for name, _ in done.left} == {"0", "2"}
    (done,) = secateur.repair(net, masks, [torch.randn(30, 3)], "least-squares", dense=net)
    assert {why for _, why in done.left} == {"its weight is not its own"}


class Standardised(nn.Conv2d):
    """A layer whose weight means nothing by its scale."""

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight - self.weight.mean()) / self.weight.std()
        return nn.functional.conv2d(x, weight, self.bias)


@pytest.mark.parametrize("kind", COMPARING)
def test_layers_that_are_run_in_a_way_of_their_own_are_named_and_left(kind: str) -> None:
    net = nn.Sequential(Standardised(1, 2, 2), nn.Flatten(), nn.Linear(8, 2), nn.Linear(2, 2))
    net[3].forward = lambda x: x.relu()  # type: ignore[method-assign]
    masks = Masks({"0.weight": torch.rand(2, 1, 2, 2) > 0.5}).apply(net)
    cut = net[0].weight.detach().clone()
    (done,) = secateur.repair(net, masks, [torch.randn(9, 1, 3, 3)], kind)
    assert dict(done.left) == {"0": "its forward is its own", "3": "its forward is its own"}
    assert torch.equal(net[0].weight, cut)


@pytest.mark.parametrize("kind", COMPARING)
def test_hooks_of_the_user_run_and_stay(kind: str) -> None:
    net = net_of(1)
    seen: list[str] = []
    handle = net[7].register_forward_hook(lambda *_: seen.append("hook"))
    hooks = [len(module._forward_hooks) for module in net.modules()]
    masks = secateur.prune(net, sparsity=0.5)
    net.train()
    secateur.repair(net, masks, [torch.randn(8, 2, 5, 5)], kind)
    assert seen == ["hook"] * 2  # once before the cut, once after
    assert [len(module._forward_hooks) for module in net.modules()] == hooks
    assert all(module.training for module in net.modules())
    handle.remove()


@pytest.mark.parametrize("kind", COMPARING)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_precisions(kind: str, dtype: torch.dtype) -> None:
    net = net_of(1).to(dtype)
    masks = secateur.prune(net, sparsity=0.5)
    secateur.repair(net, masks, [torch.randn(16, 2, 5, 5, dtype=dtype)], kind)
    assert {one.dtype for one in net.parameters()} == {dtype}


@pytest.mark.parametrize("kind", COMPARING)
def test_masks_that_were_read_and_a_copy_from_before_do_the_same(kind: str) -> None:
    net, x = net_of(1), torch.randn(16, 2, 5, 5)
    dense = copy.deepcopy(net)
    masks = secateur.prune(net, sparsity=0.5)
    twin = copy.deepcopy(net)
    secateur.repair(net, masks, [x], kind)
    secateur.repair(twin, Masks(masks.state_dict()), [x], kind, dense=dense)
    for one, other in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other)


def test_one_kind_a_call_needs_the_net_from_before() -> None:
    net, x = net_of(0), torch.randn(16, 2, 5, 5)
    masks = secateur.prune(net, sparsity=0.5)
    secateur.repair(net, masks, [x], "batch-norm")
    secateur.repair(net, masks, [x], "variance")
    with pytest.raises(secateur.SecateurError, match="all kinds in one call"):
        secateur.repair(net, masks, [x], "bias")
