from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import secateur
from secateur.verbs.left_out import CutWarning

EXAMPLE = torch.zeros(2, 1, 6, 6)


def net() -> nn.Sequential:
    """18 weights in a convolution and 320 in a linear layer."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10))


def said(method: str, **cut: Any) -> list[str]:
    with pytest.warns(CutWarning) as caught:
        secateur.prune(net(), method, **cut)
    return [str(one.message) for one in caught]


def test_a_scope_of_little_says_so() -> None:
    found = said("l1-filter", sparsity=0.5, example_inputs=EXAMPLE)
    assert found == [
        "prune: 18 of 338 prunable weights are in the method's scope, less than a tenth; "
        "a sparsity is a share of those"
    ]


def test_patterns_of_another_scope_are_named() -> None:
    table = {"Conv2d": 0.5, "Linear": 0.9}
    found = said("l1-filter", sparsity=table, example_inputs=EXAMPLE)
    assert found[1] == "prune: no weight that the method prunes is matched by 'Linear'"


def test_a_cut_that_removes_nothing_says_so() -> None:
    found = said("magnitude", sparsity=0.5, max_sparsity=0)
    assert len(found) == 2
    assert found[1].startswith("prune: nothing was removed of 338 weights at a sparsity of 0.5")


def test_a_choice_of_layers_that_pins_every_channel_says_so() -> None:
    found = said("l1-filter", sparsity=0.5, exclude="Linear", example_inputs=EXAMPLE)
    assert found[-1].startswith("prune: nothing was removed of 18 weights at a sparsity of 0.5")


def test_less_than_was_asked_for_is_counted() -> None:
    found = said("magnitude", sparsity=0.9, max_sparsity={"Linear": 0.5})
    # 17 of the convolution's 18, whose floor is one, and 160.
    assert found == [
        "prune: 177 of 338 weights were removed and not 304, as a sparsity of 0.9 asks for: "
        "max_sparsity allows no more"
    ]


def test_a_cut_that_does_what_was_asked_says_nothing() -> None:
    secateur.prune(net(), sparsity=0.5, exclude="0")
    secateur.prune(net(), sparsity=0.0)
