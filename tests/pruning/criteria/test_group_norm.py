from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.criteria.group_norm import group_norm
from secateur.pruning.criterion import Statistics
from secateur.pruning.masks import Masks
from secateur.pruning.method import Method, Part

EXAMPLE = torch.zeros(1, 1, 3, 3)


def net(filters: list[float], readers: list[float]) -> nn.Module:
    """One weight a channel, and one that reads it."""
    model = nn.Sequential(
        nn.Conv2d(1, len(filters), 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(len(filters), 1, bias=False),
    )  # fmt: skip
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.tensor(filters).reshape(-1, 1, 1, 1))
        model.get_parameter("4.weight").copy_(torch.tensor([readers]))
    return model


def kept(masks: Masks, name: str = "0.weight") -> list[bool]:
    return masks[name].flatten(1).all(1).tolist()


def test_squares_by_hand() -> None:
    rows = torch.tensor([[3.0, -4.0], [0.0, 6.0]])
    assert group_norm("w", rows, Statistics()).tolist() == [25.0, 36.0]


def test_the_formula() -> None:
    rows = torch.randn(5, 7, generator=torch.Generator().manual_seed(1))
    expected = (rows.numpy().astype(np.float64) ** 2).sum(1)
    np.testing.assert_allclose(group_norm("w", rows, Statistics()).numpy(), expected, rtol=1e-15)


def test_a_small_filter_stays_that_the_next_layer_reads_strongly() -> None:
    """1 + 9, 4 + 1 and 9 + 0: by the filters alone the first one would go."""
    filters, readers = [1.0, 2.0, 3.0], [3.0, 1.0, 0.0]
    cut = {
        name: kept(
            secateur.prune(net(filters, readers), name, sparsity=0.34, example_inputs=EXAMPLE)
        )
        for name in ("l2-filter", "group-lasso")
    }
    assert cut == {"l2-filter": [False, True, True], "group-lasso": [True, False, True]}


def test_layers_are_compared_by_what_is_usual_in_each() -> None:
    """Squares 1 and 4.1 in one layer, 0.5 and 0.6 in the next: there it is no small channel."""
    cut = {}
    for normalize in (None, "none"):
        model = nn.Sequential(
            nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.Conv2d(2, 2, 1, bias=False), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1, bias=False),
        )  # fmt: skip
        with torch.no_grad():
            model[0].weight.copy_(torch.tensor([1.0, 3.0]).sqrt().reshape(2, 1, 1, 1))
            model[2].weight.zero_()[:, 1] = torch.tensor([0.5, 0.6]).sqrt().reshape(2, 1, 1)
            model[6].weight.zero_()
        masks = secateur.prune(
            model, "group-lasso", sparsity=0.3, example_inputs=EXAMPLE, normalize=normalize
        )
        cut[normalize] = [kept(masks, name) for name in ("0.weight", "2.weight")]
    assert cut == {None: [[False, True], [True, True]], "none": [[True, True], [False, True]]}


def test_single_weights_are_in_no_group() -> None:
    method = Method("each", "", "", (Part("group-norm", "weight", "all", "layer"),))
    with pytest.raises(MaskError, match="'group-norm' is for single weights"):
        secateur.prune(nn.Linear(3, 2), method, sparsity=0.5)
