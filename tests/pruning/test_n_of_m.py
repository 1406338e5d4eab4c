from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import secateur
from secateur.errors import MaskError
from secateur.foundation.granularity import NOfM
from secateur.pruning.allocation import Candidates
from secateur.pruning.method import Part
from secateur.pruning.n_of_m import check_level, implied_level, keep_n_of_m, lowest
from secateur.pruning.weight_matrix import WeightMatrix
from secateur.verbs.left_out import CutWarning

NARROW = pytest.mark.filterwarnings("ignore::secateur.verbs.left_out.CutWarning")
"""Where a layer of few inputs keeps more than its share, as it is to."""


def kept(layer: nn.Module, pattern: str, weight: Tensor, **asked: Any) -> Tensor:
    """The mask of a layer, cut by magnitude."""
    own = copy.deepcopy(layer)
    with torch.no_grad():
        own.weight.copy_(weight)
    return secateur.prune(own, "magnitude", granularity=pattern, **asked)["weight"]


def test_a_linear_layer_by_hand() -> None:
    weight = torch.tensor([[3.0, -1.0, 2.0, 1.0, 5.0, 5.0, 5.0, 5.0]])
    mask = kept(nn.Linear(8, 1), "2:4", weight)
    assert mask.int().tolist() == [[1, 0, 1, 0, 0, 0, 1, 1]]  # of equal ones the earlier go
    assert kept(nn.Linear(8, 1), "1:4", weight).int().tolist() == [[1, 0, 0, 0, 0, 0, 0, 1]]
    assert kept(nn.Linear(8, 1), "6:8", weight).int().tolist() == [[1, 0, 1, 0, 1, 1, 1, 1]]


@NARROW
def test_what_m_does_not_divide_is_filled_up_with_zeros() -> None:
    weight = torch.tensor([[3.0, 1.0, 2.0, 4.0, 3.0, 1.0, 2.0]])
    assert kept(nn.Linear(7, 1), "2:4", weight).int().tolist() == [[1, 0, 0, 1, 1, 0, 1]]
    assert kept(nn.Linear(6, 1), "2:4", weight[:, :6]).int().tolist() == [[1, 0, 0, 1, 1, 1]]
    assert kept(nn.Linear(3, 1), "1:4", weight[:, :3]).int().tolist() == [[1, 0, 0]]


def test_a_convolution_runs_along_its_inputs_at_each_place_of_the_kernel() -> None:
    """As NVIDIA's ASP lays it out: `permute(2, 3, 0, 1)`, and rows of the last axis."""
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 3, (2, 3))
    weight = torch.randn(3, 8, 2, 3)
    rows = weight.permute(2, 3, 0, 1).reshape(-1, 4)
    expected = torch.zeros_like(rows).scatter(1, rows.abs().topk(2, dim=1).indices, 1)
    laid = expected.reshape(2, 3, 3, 8).permute(2, 3, 0, 1)
    assert torch.equal(kept(conv, "2:4", weight), laid.bool())


def test_a_transposed_convolution_too() -> None:
    torch.manual_seed(0)
    conv = nn.ConvTranspose2d(8, 6, 2, groups=2)
    mask = kept(conv, "2:4", torch.randn(conv.weight.shape))
    # [inputs, outputs of a group, 2, 2]: four inputs of a group are next to each other
    assert (mask.reshape(2, 4, 3, 2, 2).sum(dim=1) == 2).all()


@NARROW
def test_a_layer_that_reads_no_more_than_n_stays_whole() -> None:
    net = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1))
    masks = secateur.prune(net, granularity="2:4")
    assert masks["0.weight"].all()
    assert masks.zeros == 16
    assert masks.floored == ()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9), st.integers(2, 9), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 21), st.integers(0, 2**31), st.booleans(),
)  # fmt: skip
def test_every_group_keeps_exactly_n_and_its_best(
    n: int, m: int, groups: int, outputs: int, kernel: int, inputs: int, seed: int, ties: bool
) -> None:
    pattern = NOfM(min(n, m - 1), m)
    layout = WeightMatrix(
        torch.Size([groups * outputs, inputs, kernel]), groups, outputs, inputs, kernel
    )
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(groups * outputs * inputs * kernel, generator=generator)
    if ties:
        scores = (scores * 3).round()
    found = keep_n_of_m([Candidates("w", scores)], [layout], pattern, pattern.sparsity)
    mask = found.kept[0].reshape(groups, outputs, inputs, kernel)
    values = scores.reshape(groups, outputs, inputs, kernel)
    for start in range(0, inputs, m):
        held = mask[:, :, start : start + m]
        length = held.shape[2]
        assert (held.sum(dim=2) == min(pattern.kept, length)).all()
        worst = values[:, :, start : start + m].masked_fill(~held, 9).amin(dim=2)
        gone = values[:, :, start : start + m].masked_fill(held, -9).amax(dim=2)
        assert (gone <= worst).all()


@NARROW
@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 20), st.integers(0, 2**31))
def test_masks_nest_and_no_group_keeps_more(m: int, inputs: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = nn.Linear(inputs + m, 3)
    before = {"weight": torch.rand(3, inputs + m) < 0.6}
    masks = secateur.prune(layer, granularity=f"1:{m}", previous=before)
    assert not (masks["weight"] & ~before["weight"]).any()
    for start in range(0, inputs + m, m):
        here = slice(start, start + m)
        assert (masks["weight"][:, here].sum(1) == before["weight"][:, here].any(1).int()).all()


def test_on_the_way_fewer_go_of_each_group() -> None:
    layout = WeightMatrix(torch.Size([1, 4]), 1, 1, 4, 1)
    scores = Candidates("w", torch.tensor([4.0, 3.0, 1.0, 2.0]))
    found = [
        keep_n_of_m([scores], [layout], NOfM(1, 4), share).kept[0].int().tolist()
        for share in (0.0, 0.25, 0.5, 0.75)
    ]
    assert found == [[1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 0, 0], [1, 0, 0, 0]]


def test_a_layer_that_may_not_lose_as_much_stays_as_it_is_and_is_named() -> None:
    net = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    most = {"0": 0.4, "1": 0.5}
    with pytest.warns(CutWarning, match="or max_sparsity, hold back 0.weight"):
        masks = secateur.prune(net, granularity="2:4", max_sparsity=most, exclude="2")
    assert masks["0.weight"].all()
    assert int(masks["1.weight"].sum()) == 8
    assert "2.weight" not in masks
    assert masks.floored == ("0.weight",)


def test_equal_scores_go_as_everywhere_the_earlier_first() -> None:
    cut = lowest(torch.tensor([[1.0, 0.0, 1.0, 0.0, 0.0]]), 2)
    assert cut.int().tolist() == [[0, 1, 0, 1, 0]]


@pytest.mark.parametrize("size", [2, 4, 16, 17, 40])
def test_small_groups_and_large_ones_are_ordered_alike(size: int) -> None:
    torch.manual_seed(size)
    groups = torch.randint(-3, 3, (50, 2, size)).float()
    groups[groups == -3] = -math.inf
    for gone in range(size + 1):
        order = groups.argsort(dim=-1, stable=True)[..., :gone]
        expected = torch.zeros(groups.shape, dtype=torch.bool).scatter(-1, order, True)
        assert torch.equal(lowest(groups, gone), expected)


@pytest.mark.parametrize("sparsity", [0.4, 0.9, {"weight": 0.6}])
def test_a_sparsity_that_the_pattern_contradicts_is_refused(sparsity: Any) -> None:
    with pytest.raises(MaskError, match=r"with granularity '2:4', expected 0\.5: 2 of every 4"):
        secateur.prune(nn.Linear(4, 4), granularity="2:4", sparsity=sparsity)


@pytest.mark.parametrize("sparsity", [None, 0.5, {"weight": 0.5}])
def test_the_pattern_says_the_sparsity(sparsity: Any) -> None:
    masks = secateur.prune(nn.Linear(4, 4), granularity="2:4", sparsity=sparsity)
    assert masks.zeros == 8


def test_a_target_beside_it_is_refused() -> None:
    with pytest.raises(MaskError, match="no target: what goes of each group is given"):
        secateur.prune(
            nn.Linear(4, 4),
            granularity="2:4",
            target={"macs": 0.5},
            example_inputs=torch.ones(1, 4),
        )


def test_a_method_of_several_parts_is_asked_for_the_others() -> None:
    parts = [
        Part("magnitude", "channel", "conv", "layer"),
        Part("magnitude", "1:3", "all", "layer"),
    ]
    assert implied_level(parts) is None
    assert implied_level(parts[1:]) == [2 / 3]
    check_level(parts, [0.1, 2 / 3])
    with pytest.raises(MaskError):
        check_level(parts, [0.5])


def test_scores_that_are_no_numbers_are_refused() -> None:
    layout = WeightMatrix(torch.Size([1, 2]), 1, 1, 2, 1)
    scores = Candidates("w", torch.tensor([1.0, float("nan")]))
    with pytest.raises(MaskError, match="NaN or infinite"):
        keep_n_of_m([scores], [layout], NOfM(1, 2), 0.5)


def test_a_level_in_rounds_comes_to_the_pattern() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    masks = secateur.prune(
        net, "synflow", granularity="2:4", example_inputs=torch.ones(1, 8), options={"rounds": 4}
    )
    for mask in masks.values():
        assert (mask.reshape(-1, 4).sum(dim=1) == 2).all()
