from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from secateur.errors import MaskError
from secateur.pruning.layers import Layers, checked_layers, checked_level


def test_a_level_is_a_list() -> None:
    assert checked_level([0.5]) == [0.5]
    assert checked_level(np.array([0.2, 0.3], dtype=np.float32)) == [0.2, 0.3]
    assert checked_level(torch.tensor([0.5, 0.25])) == [0.5, 0.25]


def test_a_table_is_pairs_in_its_order() -> None:
    table = {"b": np.float32(0.9), nn.Conv2d: torch.tensor(0.5), "a": 0}
    pairs = (("b", 0.9), (nn.Conv2d, 0.5), ("a", 0.0))
    assert checked_level(table) == [pairs]
    assert checked_level([0.5, table]) == [0.5, pairs]


def test_one_pattern_is_a_choice_and_none_is_none() -> None:
    assert checked_layers("a", None, [nn.Linear], {"b": 1}) == Layers(
        ("a",), (), (nn.Linear,), (("b", 1.0),)
    )
    assert not checked_layers((), [], None, None)


@pytest.mark.parametrize("value", [{}, {"a": 1.0}, {"a": -0.1}, {"a": "x"}, {3: 0.5}], ids=repr)
def test_a_table_that_is_none(value: Any) -> None:
    with pytest.raises(MaskError):
        checked_level(value)


@pytest.mark.parametrize("subject", ["exclude", "only", "prunable"])
@pytest.mark.parametrize("value", [3, [3], [None], True, int, {"a": 0.5}], ids=repr)
def test_a_pattern_that_is_none(subject: str, value: Any) -> None:
    given = {"exclude": (), "only": (), "prunable": (), "max_sparsity": None, subject: value}
    with pytest.raises(MaskError) as caught:
        checked_layers(**given)
    assert caught.value.subject == subject


@pytest.mark.parametrize(
    "value", [-0.1, 1.1, float("nan"), "x", True, {}, {"a": 2}, {3: 0.5}], ids=repr
)
def test_a_highest_sparsity_that_is_none(value: Any) -> None:
    with pytest.raises(MaskError) as caught:
        checked_layers((), (), (), value)
    assert caught.value.subject == "max_sparsity"
