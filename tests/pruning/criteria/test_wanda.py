from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.errors import MaskError
from secateur.pruning.criteria.wanda import wanda
from secateur.pruning.criterion import Statistics


def of_outputs(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).sum()


def two_by_two() -> nn.Linear:
    net = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[3.0, 1.0], [30.0, 20.0]]))
    return net


def test_products_by_hand() -> None:
    known = Statistics(gathered={"input-norms": {"w": torch.tensor([[2.0, 0.5]])}})
    assert wanda("w", torch.tensor([[-1.0, 3.0]]), known).tolist() == [3.5]


def test_large_weights_on_small_inputs_go_within_each_output() -> None:
    """Inputs 1 and 10: products 3, 10 and 30, 200. By magnitude the whole first row would go."""
    net = two_by_two()
    masks = secateur.prune(
        net, "wanda", sparsity=0.5, data=[torch.tensor([[1.0, 10.0]])], loss=of_outputs
    )
    assert masks["weight"].tolist() == [[False, True], [False, True]]


def test_the_formula() -> None:
    """Equation 1 and its comparison group, in float64: half of every row goes."""
    torch.manual_seed(0)
    net, batches = nn.Linear(6, 5), [torch.randn(7, 6) for _ in range(3)]
    weight = net.weight.detach().numpy().astype(np.float64)
    norms = np.sqrt((torch.cat(batches).numpy().astype(np.float64) ** 2).sum(axis=0))
    products = np.abs(weight) * norms
    kept = np.argsort(np.argsort(products, axis=1), axis=1) >= 3
    masks = secateur.prune(net, "wanda", sparsity=0.5, data=batches, loss=of_outputs)
    assert (masks["weight"].numpy() == kept).all()


def test_layers_whose_inputs_are_not_seen_are_named() -> None:
    net = nn.LSTM(2, 2)
    with pytest.raises(MaskError, match="without input-norms"):
        secateur.prune(
            net, "wanda", sparsity=0.5, data=[torch.ones(1, 1, 2)], loss=lambda m, b: m(b)[0].sum()
        )
