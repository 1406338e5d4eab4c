from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.method import Method, Part


def block_net() -> nn.Module:
    """Two layers of 4 blocks of 2 x 2 each, of which the sums are 1 to 8."""
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    with torch.no_grad():
        for layer, first in ((net[0], 1.0), (net[2], 5.0)):
            sums = torch.arange(first, first + 4).reshape(2, 2) / 4
            layer.weight.copy_(sums.repeat_interleave(2, 0).repeat_interleave(2, 1))  # type: ignore[union-attr, operator]
    return net


@pytest.mark.parametrize(("ranking", "zeros"), [("global", (16, 0)), ("layer", (8, 8))])
def test_blocks_are_ranked_as_single_weights_are(ranking: Any, zeros: tuple[int, int]) -> None:
    masks = secateur.prune(block_net(), granularity="2x2", sparsity=0.5, ranking=ranking)
    found = tuple(int((~masks[name]).sum()) for name in ("0.weight", "2.weight"))
    floor = 4 if ranking == "global" else 0  # the best block of a layer stays, the next one goes
    assert found == (zeros[0] - floor, zeros[1] + floor)
    assert masks.floored == (("0.weight",) if floor else ())
    assert masks["2.weight"][2:].all()


@pytest.mark.parametrize("word", ["1x1", "weight"])
def test_a_block_of_one_is_a_single_weight(word: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(5, 7))
    plain = secateur.prune(copy.deepcopy(net), sparsity=0.37)
    assert secateur.prune(net, sparsity=0.37, granularity=word) == plain


@pytest.mark.parametrize("word", ["4x4", "1x4", "4x1", "3x5", "kernel"])
@pytest.mark.parametrize("ranking", ["global", "layer"])
def test_whole_blocks_go_and_as_many_weights_as_whole_blocks_allow(word: str, ranking: Any) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 12, 3), nn.Conv2d(12, 8, 3, groups=2), nn.Conv2d(8, 9, 1))
    previous = None
    for sparsity in (0.3, 0.6):
        masks = secateur.prune(
            net, granularity=word, ranking=ranking, sparsity=sparsity, previous=previous
        )
        largest = {"4x4": 16, "1x4": 4, "4x1": 4, "3x5": 15, "kernel": 9}[word]
        layers = 1 if ranking == "global" else 3
        assert abs(masks.zeros - sparsity * masks.total) <= layers * largest / 2
        assert previous is None or masks.is_within(previous)
        previous = masks
    mask = masks["0.weight"].reshape(12, 72)
    height, width = (1, 9) if word == "kernel" else map(int, word.split("x"))
    blocks = mask.unfold(0, height, height).unfold(1, width, width).flatten(2)
    assert (blocks.all(dim=2) | ~blocks.any(dim=2)).all()


def test_kernels_leave_linear_layers_alone() -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4, 4))
    masks = secateur.prune(net, granularity="kernel", sparsity=0.5)
    assert list(masks) == ["0.weight"]
    assert masks.zeros == 8 * 9
    with pytest.raises(MaskError, match="what is no convolution has no kernels"):
        secateur.prune(net, granularity="kernel", sparsity=0.5, scope="non-conv")


def test_within_outputs_blocks_of_one_row_go_from_each() -> None:
    torch.manual_seed(0)
    net = nn.Linear(16, 5)
    masks = secateur.prune(net, granularity="1x4", ranking="output", sparsity=0.5)
    assert (masks["weight"].sum(dim=1) == 8).all()
    with pytest.raises(MaskError, match="'output' of blocks 4x4, each of several outputs"):
        secateur.prune(net, granularity="4x4", ranking="output", sparsity=0.5)


def test_the_highest_sparsity_of_a_layer_holds() -> None:
    masks = secateur.prune(block_net(), granularity="2x2", sparsity=0.5, max_sparsity={"0": 0.3})
    assert int((~masks["0.weight"]).sum()) == 4
    assert masks.zeros == 16


def test_scores_of_ones_own_are_summed_over_a_block() -> None:
    scores = {"weight": torch.tensor([[1.0, 9.0, 3.0, 3.0]])}
    masks = secateur.prune(nn.Linear(4, 1), granularity="1x2", sparsity=0.5, scores=scores)
    assert masks["weight"].int().tolist() == [[1, 1, 0, 0]]
    with pytest.raises(MaskError, match="one for each weight"):
        secateur.prune(
            nn.Linear(4, 4), granularity="2x2", sparsity=0.5, scores={"weight": torch.ones(4)}
        )


class _Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(4, 8))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix


@pytest.mark.parametrize("word", ["2:4", "4x4"])
def test_a_layer_that_does_not_say_where_its_inputs_lie_is_named(word: str) -> None:
    net = nn.Sequential(nn.Linear(4, 8), _Own())
    with pytest.raises(MaskError, match=r"1\.matrix is a weight of a _Own") as caught:
        secateur.prune(net, granularity=word, sparsity=0.5)
    assert "exclude='1.matrix'" in caught.value.remedy
    assert secateur.prune(net, granularity=word, sparsity=0.5, exclude="1.matrix").zeros == 16


def test_a_weight_that_is_computed_is_cut_as_it_comes_out() -> None:
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(8, 4))
    masks = secateur.prune(layer, granularity="2:4")
    assert masks.zeros == 16
    assert ((layer.weight != 0).reshape(4, 2, 4).sum(dim=2) == 2).all()


@pytest.mark.parametrize("word", ["2:4", "4x4", "kernel"])
def test_a_method_of_channels_has_no_such_units(word: str) -> None:
    with pytest.raises(MaskError, match="which cuts filters or channels"):
        secateur.prune(nn.Conv2d(4, 4, 3), "l1-filter", granularity=word, sparsity=0.5)


def test_a_criterion_of_channels_is_refused() -> None:
    method = Method("blocks", "", "", (Part("fpgm", "4x4", "all", "global"),))
    with pytest.raises(MaskError, match="it scores nothing smaller"):
        secateur.prune(nn.Linear(8, 8), method, sparsity=0.5)
