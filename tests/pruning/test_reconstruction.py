"""Layers are cut one by one, and what is left of each makes up for what goes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import secateur
from secateur.errors import MaskError
from secateur.foundation.own_tensors import own_tensors
from secateur.pruning.criterion import MOMENTS, Statistics, needs, reconstructing
from secateur.pruning.layers import Layers
from secateur.pruning.masks import Masks
from secateur.pruning.method import Method, Part, find_method
from secateur.pruning.select import cut
from secateur.pruning.statistics import gather, input_moments
from secateur.registry import CRITERIA

PARTS = find_method("sparsegpt").parts


def mean_square(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).square().mean()


def linear_net(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(*pair) for pair in pairwise(widths)]
    return nn.Sequential(*layers).double()


def mixed(rows: int, width: int) -> Tensor:
    """Inputs of different sizes that hang together."""
    torch.manual_seed(1)
    spread = torch.diag(torch.logspace(-1, 1, width, dtype=torch.float64))
    return torch.randn(rows, width, dtype=torch.float64) @ (
        torch.randn(width, width, dtype=torch.float64) @ spread
    )


def pruned(net: nn.Module, sparsity: Any, data: Sequence[Any], **others: Any) -> Masks:
    return secateur.prune(
        net, "sparsegpt", sparsity=sparsity, data=data, loss=mean_square, **others
    )


def paper(weight: Any, moments: Any, share: float, block: int, damping: float) -> Any:
    """Algorithm 1 of arXiv 2301.00774, with the inverse and its Cholesky factor as there."""
    left = weight.copy()
    damped = moments + damping * np.diag(moments).mean() * np.eye(len(moments))
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    for i in range(0, weight.shape[1], block):
        stop = min(i + block, weight.shape[1])
        scores = left[:, i:stop] ** 2 / np.diag(factor)[i:stop] ** 2
        count = round(share * scores.size)
        gone = np.zeros(scores.size, dtype=bool)
        gone[np.argsort(scores, axis=None, kind="stable")[:count]] = True
        gone = gone.reshape(scores.shape)
        errors = np.zeros_like(scores)
        for j in range(i, stop):
            errors[:, j - i] = gone[:, j - i] * left[:, j] / factor[j, j]
            left[:, j:stop] -= np.outer(errors[:, j - i], factor[j, j:stop])
        left[:, i:stop][gone] = 0
        left[:, stop:] -= errors @ factor[i:stop, stop:]
    return left


@pytest.mark.parametrize("block", [2, 4, 12, 128])
def test_a_linear_layer_by_the_papers_algorithm(block: int) -> None:
    net, data = linear_net(12, 6), [mixed(40, 12), mixed(7, 12)]
    rows = torch.cat(data).numpy()
    expected = paper(
        net[0].weight.detach().numpy(), rows.T @ rows / len(rows), 0.5, min(block, 12), 0.02
    )
    masks = pruned(net, 0.5, data, options={"block": block, "damping": 0.02})
    np.testing.assert_allclose(net[0].weight.detach().numpy(), expected, atol=1e-9)
    assert (masks["0.weight"].numpy() == (expected != 0)).all()


def test_a_grouped_convolution_ranks_its_groups_together() -> None:
    """Each group's weights are updated by its own inputs; which go is the whole layer's choice."""
    torch.manual_seed(0)
    net = nn.Conv2d(4, 6, 2, groups=2).double()
    x = torch.randn(5, 4, 4, 4, dtype=torch.float64)
    x[:, :2] *= 10
    before = net.weight.detach().clone()
    masks = pruned(net, 0.5, [x], options={"block": 8})
    assert int((~masks["weight"]).sum()) == 24
    assert int((~masks["weight"][:3]).sum()) < 6 < 18 < int((~masks["weight"][3:]).sum())
    moments = gather(net, [MOMENTS], [x], mean_square)[MOMENTS]["weight"].numpy()
    scale = 0.01 * np.einsum("gii->", moments) / 16
    for output, kept in enumerate(masks["weight"].flatten(1).numpy()):
        damped = moments[output // 3] + scale * np.eye(8)
        row = before[output].flatten().numpy().copy()
        for j in np.flatnonzero(~kept):
            inverse = np.linalg.inv(damped[j:, j:])
            row[j:] -= row[j] / inverse[0, 0] * inverse[0]
        left = net.weight.detach()[output].flatten().numpy()
        np.testing.assert_allclose(left, row * kept, atol=1e-9)


@given(st.floats(0, 0.999), st.integers(1, 9), st.integers(0, 99), st.booleans())
@settings(max_examples=30, deadline=None)
def test_counts_are_exact_whatever_the_blocks_and_what_is_gone(
    share: float, block: int, seed: int, gone: bool
) -> None:
    net = linear_net(7, 5, 3)
    torch.manual_seed(seed)
    previous = Masks({name: torch.rand_like(one) > 0.4 for name, one in net.named_parameters()})
    moments = {name: torch.eye(one.shape[-1])[None] for name, one in net.named_parameters()}
    masks = cut(
        net,
        [Part("sparsegpt", "weight", "all", "layer", {"block": block, "damping": 0.1})],
        [share],
        statistics=Statistics(gathered={MOMENTS: moments}),
        previous=previous if gone else None,
    )
    assert not gone or masks.is_within(previous)
    for name in ("0.weight", "1.weight"):
        total = masks[name].numel()
        target = Fraction(repr(share)) * total
        least = int((~previous[name]).sum()) if gone else 0
        zeros = int((~masks[name]).sum())
        assert zeros == least or abs(zeros - target) <= Fraction(1, 2) or zeros == total - 1
        assert least <= zeros < total or zeros == least
        assert (name in masks.floored) == (target > total - Fraction(1, 2) and least < total)


def test_outputs_stay_nearer_than_by_the_same_cut_without_the_update_and_by_other_cuts() -> None:
    net, data = linear_net(16, 8), [mixed(200, 16)]
    nets = {name: copy.deepcopy(net) for name in ("sparsegpt", "wanda", "magnitude", "zeroed")}
    for name in ("magnitude", "wanda", "sparsegpt"):
        masks = secateur.prune(nets[name], name, sparsity=0.5, data=data, loss=mean_square)
    Masks(dict(masks)).apply(nets["zeroed"])
    with torch.no_grad():
        off = {
            name: float((one(data[0]) - net(data[0])).square().mean()) for name, one in nets.items()
        }
    assert off["sparsegpt"] < 0.8 * off["zeroed"]
    assert off["sparsegpt"] < off["wanda"] < off["magnitude"]


def test_inputs_that_are_dead_need_nothing_and_get_nothing() -> None:
    """An input that is zero everywhere has the damping as its moment: small weights go first."""
    net, x = linear_net(6, 4), mixed(50, 6)
    x[:, 2] = 0
    before = net[0].weight.detach().clone()
    masks = pruned(net, 1 / 6, [x])
    left = net[0].weight.detach()
    assert torch.equal(left[:, 2], before[:, 2] * masks["0.weight"][:, 2])
    assert bool(left.isfinite().all())


def test_a_layer_whose_inputs_are_all_dead_goes_by_magnitude_and_keeps_its_weights() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        net[0].bias.fill_(-100.0)
    before = net[2].weight.detach().clone()
    masks = pruned(net, 0.5, [mixed(20, 2)], options={"block": 4})["2.weight"]
    order = before.abs().flatten().argsort()
    assert not masks.flatten()[order[:6]].any()
    assert torch.equal(net[2].weight.detach(), before * masks)


class _Idle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.used(x)
        return found


def test_a_layer_that_no_batch_reaches_is_named_and_can_be_left_out() -> None:
    with pytest.raises(MaskError, match=r"idle.weight is a weight without input-moments.*exclude"):
        pruned(_Idle(), 0.5, [torch.ones(1, 2)])
    assert pruned(_Idle(), 0.5, [torch.ones(1, 2)], exclude="idle").zeros == 2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: weight_norm(nn.Linear(2, 2)), "computed .*so that it cannot be rewritten"),
        (lambda: nn.ConvTranspose1d(2, 2, 1), "without input-moments"),
        (lambda: nn.Linear(9, 2), "of a layer with 9 weights an output, where 8 are the most"),
    ],
)
def test_layers_that_cannot_be_rewritten_are_named(
    make: Callable[[], nn.Module], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_moments, "LARGEST", 8)
    monkeypatch.setattr("secateur.pruning.reconstruction.LARGEST", 8)
    net = nn.Sequential(nn.Linear(3, 3), make())
    known = Statistics(gathered={MOMENTS: {"0.weight": torch.eye(3)[None]}})
    with pytest.raises(MaskError, match=f"{said}.*exclude"):
        cut(net, PARTS, [0.5], statistics=known)


def test_moments_of_another_layer_are_refused() -> None:
    known = Statistics(gathered={MOMENTS: {"weight": torch.eye(2)[None]}})
    with pytest.raises(MaskError, match=r"of shape \(1, 2, 2\), expected .* of shape \(1, 3, 3\)"):
        cut(nn.Linear(3, 3), PARTS, [0.5], statistics=known)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ranking": "global"}, "the ranking is 'global'"),
        ({"ranking": "output"}, "the ranking is 'output'"),
        ({"granularity": "1x4"}, "the granularity is '1x4'"),
    ],
)
def test_what_does_not_go_layer_by_layer_is_refused_before_data_are_looked_at(
    change: dict[str, str], said: str
) -> None:
    with pytest.raises(MaskError, match=said):
        pruned(linear_net(3, 3), 0.5, [None], **change)


def test_channels_are_refused() -> None:
    method = Method("by-channel", "", "", (Part("sparsegpt", "channel", "conv", "layer"),))
    with pytest.raises(MaskError, match="the granularity is 'channel'"):
        secateur.prune(
            nn.Conv2d(3, 3, 1), method, sparsity=0.5, data=[torch.ones(1, 3, 2, 2)],
            loss=mean_square, example_inputs=torch.ones(1, 3, 2, 2),
        )  # fmt: skip


def test_a_criterion_of_ones_own_is_asked_block_by_block() -> None:
    """Magnitude, with statistics of the weight's shape cut to each block; the rest is made up."""
    asked: list[tuple[int, ...]] = []

    @reconstructing
    @needs(MOMENTS, "gradients")
    def small(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
        slopes = statistics.of("gradients", parameter)
        asked.append((*rows.shape, *slopes.shape))
        return slopes.sum(1)

    CRITERIA.add("small", small)
    net = linear_net(4, 2)
    order = torch.tensor([[7.0, 6.0, 5.0, 4.0], [3.0, 2.0, 1.0, 0.0]])
    known = {"gradients": {"0.weight": order}, MOMENTS: {"0.weight": torch.eye(4)[None]}}
    masks = cut(
        net,
        [Part("small", "weight", "all", "layer", {"block": 2})],
        [0.5],
        statistics=Statistics(gathered=known),
    )
    assert asked == [(4, 1, 4, 1)] * 2
    assert masks["0.weight"].tolist() == [[True] * 4, [False] * 4]


def test_scores_of_ones_own_only_rank() -> None:
    net = linear_net(3, 2)
    before = net[0].weight.detach().clone()
    scores = {"0.weight": torch.arange(6.0).reshape(2, 3)}
    masks = secateur.prune(net, "sparsegpt", sparsity=0.5, scores=scores)
    assert torch.equal(net[0].weight.detach(), before * masks["0.weight"])


def test_new_weights_are_written_once_and_the_dense_ones_come_back_bit_by_bit() -> None:
    net = linear_net(6, 4)
    dense = {name: one.detach().clone() for name, one in own_tensors(net)}
    known = Statistics(gathered=gather(net, [MOMENTS], [mixed(30, 6)], mean_square))
    masks = cut(net, PARTS, [0.5], statistics=known)
    assert torch.equal(net[0].weight, dense["0.weight"])  # a cut leaves the network as it is
    written = pickle.loads(pickle.dumps(masks)).merged(Masks({})).apply(net)
    cut_weight = net[0].weight.detach().clone()
    assert not torch.equal(cut_weight, dense["0.weight"] * masks["0.weight"])
    assert written.removed is not None
    assert written.removed.is_of(net)
    back = written.removed.dense(net)
    assert all(torch.equal(back[name], one) for name, one in dense.items())
    with torch.no_grad():
        net[0].weight.add_(1.0)
    written.apply(net)
    assert torch.equal(net[0].weight.detach(), (cut_weight + 1) * masks["0.weight"])


def test_level_by_level_nothing_comes_back_and_at_none_nothing_changes() -> None:
    net, data = linear_net(8, 6), [mixed(60, 8)]
    before = net[0].weight.detach().clone()
    assert not pruned(net, 0.0, data).zeros
    assert torch.equal(net[0].weight, before)
    half = pruned(net, 0.5, data)
    more = pruned(net, 0.75, data, previous=half)
    assert more.is_within(half)
    assert (half.zeros, more.zeros) == (24, 36)
    left = net[0].weight.detach().clone()
    assert pruned(net, 0.75, data, previous=more) == more  # nothing more goes
    assert torch.equal(net[0].weight, left)


def test_limits_of_a_layer_hold() -> None:
    net = linear_net(10, 4)
    masks = cut(
        net,
        PARTS,
        [0.9],
        statistics=Statistics(gathered=gather(net, [MOMENTS], [mixed(9, 10)], mean_square)),
        layers=Layers(max_sparsity=(("*", 0.6),)),
    )
    assert (masks.zeros, masks.floored) == (24, ("0.weight",))


def test_half_precision_is_reconstructed_in_double() -> None:
    net = linear_net(8, 4).to(torch.bfloat16)
    masks = pruned(net, 0.5, [mixed(30, 8).to(torch.bfloat16)])
    assert net[0].weight.dtype == torch.bfloat16
    assert bool(net[0].weight.isfinite().all())
    assert masks.zeros == 16


def test_two_of_four_by_the_papers_algorithm() -> None:
    """As published: the two lowest of each four columns, scored when their first one is met."""
    net, data = linear_net(12, 6), [mixed(40, 12)]
    left, rows = net[0].weight.detach().numpy().copy(), data[0].numpy()
    moments = rows.T @ rows / len(rows)
    damped = moments + 0.01 * np.diag(moments).mean() * np.eye(12)
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    for i in range(12):
        if i % 4 == 0:
            scores = left[:, i : i + 4] ** 2 / np.diag(factor)[i : i + 4] ** 2
            gone = np.argsort(np.argsort(scores, axis=1), axis=1) < 2
        errors = gone[:, i % 4] * left[:, i] / factor[i, i]
        left[:, i:] -= np.outer(errors, factor[i, i:])
        left[gone[:, i % 4], i] = 0
    masks = pruned(net, None, data, granularity="2:4", options={"block": 5})
    np.testing.assert_allclose(net[0].weight.detach().numpy(), left, atol=1e-9)
    assert (masks["0.weight"].numpy() == (left != 0)).all()


@pytest.mark.parametrize("pattern", ["2:4", "1:2", "3:4"])
@pytest.mark.parametrize("groups", [1, 2])
def test_n_of_m_of_a_convolution_runs_along_its_inputs(pattern: str, groups: int) -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(12 * groups, 4, (1, 3), groups=groups).double()
    x = torch.randn(6, 12 * groups, 3, 5, dtype=torch.float64)
    wanted, zeroed = net(x).detach(), copy.deepcopy(net)
    masks = pruned(net, None, [x], granularity=pattern)
    kept, size = map(int, pattern.split(":"))
    along = masks["weight"].permute(0, 2, 3, 1).reshape(-1, size)
    assert bool((along.sum(1) == kept).all())
    Masks(dict(masks)).apply(zeroed)
    off, none = ((one(x) - wanted).square().mean() for one in (net, zeroed))
    assert off < none


@pytest.mark.filterwarnings("ignore::secateur.verbs.left_out.CutWarning")
def test_a_group_that_m_does_not_fill_keeps_n_and_what_is_gone_stays_gone() -> None:
    net = linear_net(7, 3)
    first = pruned(net, None, [mixed(30, 7)], granularity="3:4")
    assert first["0.weight"].sum(1).tolist() == [6] * 3
    second = pruned(net, None, [mixed(30, 7)], granularity="2:4", previous=first)
    assert second["0.weight"][:, :4].sum(1).tolist() == [2] * 3
    assert second["0.weight"][:, 4:].sum(1).tolist() == [2] * 3
    assert second.is_within(first)


@pytest.mark.filterwarnings("ignore::secateur.verbs.left_out.CutWarning")
def test_a_layer_that_may_not_lose_as_much_as_n_of_m_stays() -> None:
    net = linear_net(8, 4)
    before = net[0].weight.detach().clone()
    masks = pruned(net, None, [mixed(9, 8)], granularity="2:4", max_sparsity=0.4)
    assert (masks.zeros, masks.floored) == (0, ("0.weight",))
    assert torch.equal(net[0].weight, before)
