from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.method import Method, Part
from secateur.pruning.weight_matrix import WeightMatrix
from secateur.pruning.weight_units import units_of
from secateur.pruning.within_outputs import within_outputs

BY_OUTPUT = Method("by-output", "", "", (Part("magnitude", "weight", "all", "output"),))


def test_places_by_hand() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [7.0, 7.0, -math.inf]])
    assert within_outputs(scores).tolist() == [[2.0, 0.0, 1.0], [1.0, 2.0, 0.0]]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_an_output_is_what_one_output_channel_is_computed_from(
    kind: type[nn.Conv2d], groups: int
) -> None:
    """Found by running the layer: each weight alone moves one output channel."""
    torch.manual_seed(0)
    layer = kind(4, 6, 2, groups=groups, bias=False)
    scores = torch.randperm(layer.weight.numel()).float()
    units = units_of(WeightMatrix.of(layer, layer.weight.shape), "weight")
    places = units.from_outputs(within_outputs(units.by_output(scores)))
    outputs = []
    for number in range(scores.numel()):
        with torch.no_grad():
            layer.weight.zero_()
            layer.weight.view(-1)[number] = 1.0
            moved = layer(torch.ones(1, 4, 3, 3)).abs().sum((0, 2, 3))
        outputs.append(int(moved.argmax()))
    for output in range(6):
        own = [number for number, one in enumerate(outputs) if one == output]
        assert len(own) == scores.numel() // 6
        expected = np.argsort(np.argsort(scores[own].numpy()))
        assert places[own].tolist() == expected.tolist()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 99), st.integers(0, 99))
def test_every_output_loses_as_many_give_or_take_one(
    outputs: int, inputs: int, hundredths: int, more: int
) -> None:
    torch.manual_seed(hundredths)
    net = nn.Linear(inputs, outputs)
    low, high = sorted((hundredths / 100, more / 100))
    first = secateur.prune(net, BY_OUTPUT, sparsity=low)
    for masks in (first, secateur.prune(net, BY_OUTPUT, sparsity=high, previous=first)):
        lost = (~masks["weight"]).sum(dim=1)
        assert int(lost.max() - lost.min()) <= 1
        assert masks.is_within(first)
    assert abs(masks.zeros - high * outputs * inputs) <= 0.5 or masks.floored


def test_it_is_no_ranking_of_channels() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(MaskError, match="'output' of a method that cuts by channel"):
        secateur.prune(
            net, "l1-filter", sparsity=0.5, ranking="output", example_inputs=torch.ones(1, 1, 3, 3)
        )


def test_scores_that_are_no_numbers_are_refused() -> None:
    given = {"weight": torch.tensor([[1.0, math.nan, 2.0]])}
    with pytest.raises(MaskError):
        secateur.prune(nn.Linear(3, 1), BY_OUTPUT, sparsity=0.5, scores=given)


def of_rows(parameter: str, rows: Tensor, statistics: object) -> Tensor:
    del parameter, statistics
    return rows[:, 0] / 0


def test_a_criterion_that_divides_by_zero_is_named() -> None:
    from secateur.registry import CRITERIA

    CRITERIA.add("tests-divides", of_rows)
    method = Method("divides", "", "", (Part("tests-divides", "weight", "all", "output"),))
    with pytest.raises(MaskError, match="NaN or infinite"):
        secateur.prune(nn.Linear(3, 2), method, sparsity=0.5)
