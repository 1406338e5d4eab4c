"""Whole heads of attention as what is cut: which they are, how many go, and the same function."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import secateur
from secateur.errors import ChannelError, MaskError
from secateur.pruning.method import METHODS, Method, find_method, parts_of
from secateur.spec import MethodSpec

X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """Attention, some heads of queries to each of keys, and a perceptron behind it."""

    def __init__(self, heads: int = 4, groups: int = 4, size: int = 2) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, size
        self.q, self.o = nn.Linear(8, heads * size), nn.Linear(heads * size, 8)
        self.k, self.v = nn.Linear(8, groups * size), nn.Linear(8, groups * size)
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        q = self.q(x).view(b, t, self.heads, self.size).transpose(1, 2)
        k, v = (f(x).view(b, t, self.groups, self.size).transpose(1, 2) for f in (self.k, self.v))
        y = functional.scaled_dot_product_attention(q, k, v, enable_gqa=self.heads > self.groups)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        return x + self.down(functional.gelu(self.up(x)))


def net(**shape: int) -> Block:
    torch.manual_seed(1)
    return Block(**shape).eval()


def heads(model: Block, **options: Any) -> secateur.Masks:
    return secateur.prune(
        model, "l1-filter", granularity="head", example_inputs=X, **{"protected": 0.0, **options}
    )


def rows(masks: secateur.Masks, name: str, size: int = 2) -> list[bool]:
    """Of each head whether it is kept; no head by halves."""
    kept = masks[f"{name}.weight"].flatten(1)
    whole = kept.all(1).view(-1, size)
    assert torch.equal(kept.any(1).view(-1, size), whole[:, :1].expand(-1, size))
    return whole[:, 0].tolist()


def test_a_share_of_heads_goes_whole_and_nothing_else() -> None:
    for sparsity, gone in ((0.25, 1), (0.5, 2), (0.99, 3), (0.13, 1)):
        masks = heads(net(), sparsity=sparsity)
        kept = rows(masks, "q")
        assert (kept.count(False), rows(masks, "k"), rows(masks, "v")) == (gone, kept, kept)
        assert set(masks) == {f"{one}.{kind}" for one in "qkv" for kind in ("weight", "bias")}
        assert masks.floored == (("q",) if sparsity == 0.99 else ())


def test_the_head_of_the_smallest_weights_goes() -> None:
    model = net()
    with torch.no_grad():
        for one in (model.q, model.k, model.v):
            one.weight[4:6] *= 0.01
    assert rows(heads(model, sparsity=0.25), "q") == [True, True, False, True]


def test_a_head_of_keys_goes_with_its_queries() -> None:
    masks = heads(net(heads=6, groups=3), sparsity=0.34)
    kept = rows(masks, "k")
    assert kept.count(False) == 1
    assert rows(masks, "v") == kept
    assert rows(masks, "q") == [one for one in kept for _ in range(2)]
    # Of 12 + 6 + 6 rows of eight weights each a third.
    assert sum(int((~masks[f"{one}.weight"]).sum()) for one in "qkv") == 8 * 8


@pytest.mark.parametrize("shape", [{}, {"heads": 6, "groups": 3}, {"heads": 6, "groups": 2}])
def test_the_small_net_is_the_same_function(shape: dict[str, int]) -> None:
    model = net(**shape)
    masks = heads(model, sparsity=0.6)
    small = secateur.compact(model, masks, X)
    left = model.groups - round(0.6 * model.groups)
    assert (small.heads, small.groups) == (left * model.heads // model.groups, left)
    assert small.up.out_features == 12
    torch.testing.assert_close(small(X), model(X))
    assert not torch.equal(model(X), net(**shape)(X))


def test_they_go_with_any_method_of_channels_and_are_ranked_over_all_blocks() -> None:
    torch.manual_seed(2)
    model = nn.Sequential(Block(), Block()).eval()
    with torch.no_grad():
        for one in (model[1].q, model[1].k, model[1].v):
            one.weight[:4] *= 0.01
    masks = secateur.prune(
        copy.deepcopy(model), "taylor-filter", granularity="head", sparsity=0.25,
        example_inputs=X, data=[X], loss=lambda net, x: net(x).square().mean(),
    )  # fmt: skip
    assert rows(masks, "1.q") == [False, False, True, True]
    assert all(rows(masks, "0.q"))
    by_layer = secateur.prune(
        model, "random-filter", granularity="head", sparsity=0.25, example_inputs=X
    )
    assert [rows(by_layer, name).count(False) for name in ("0.q", "1.q")] == [1, 1]


def test_a_net_without_heads_is_refused() -> None:
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    with pytest.raises(ChannelError, match=r"without heads that may go .*at least one head"):
        secateur.prune(model, "l1-filter", granularity="head", sparsity=0.5, example_inputs=X)


def test_heads_that_the_code_counts_are_refused_by_name() -> None:
    class Literal(Block):
        def forward(self, x: Tensor) -> Tensor:
            q, k, v = (f(x).view(2, 5, 4, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
            y = (q @ k.transpose(-2, -1)).softmax(-1) @ v
            return self.o(y.transpose(1, 2).flatten(2))

    torch.manual_seed(0)
    with pytest.raises(ChannelError, match="without heads that may go"):
        heads(Literal(), sparsity=0.5)


def test_a_method_of_several_cuts_has_no_heads_of_its_own() -> None:
    with pytest.raises(MaskError, match="'head' of combined, whose cuts have scopes"):
        parts_of(find_method("combined"), MethodSpec(granularity="head"))


def test_whatever_computes_them_unless_a_scope_says_what() -> None:
    l1: Method = METHODS["l1-filter"]
    for scope in (None, "conv"):
        (part,) = parts_of(l1, MethodSpec(granularity="head", scope=scope))
        assert (part.granularity, part.scope) == ("head", scope or "all")
