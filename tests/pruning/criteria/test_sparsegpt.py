from __future__ import annotations

import torch
from torch import Tensor, nn

import secateur
from secateur.pruning.criteria.sparsegpt import sparsegpt
from secateur.pruning.criterion import RESIDUALS, Statistics, reconstructs


def of_outputs(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).sum()


def test_products_by_hand() -> None:
    known = Statistics(gathered={RESIDUALS: {"w": torch.tensor([[0.75], [1.0]])}})
    assert sparsegpt("w", torch.tensor([[2.0], [-4.0]]), known).tolist() == [3.0, 16.0]
    assert reconstructs(sparsegpt)


def test_a_layer_of_two_weights_by_hand() -> None:
    """Inputs (1, 0), (1, 1), (0, 1): moments 2/3 and 1/3, so half of input 1 is told by input 2.

    Outputs are 2, 6, 4. Without the first weight the second is best at 4 + 2 x 1/2 = 5, which gives
    0, 5, 5: an error of 6, where 0, 4, 4 has 8. Without the second the error is 32 x 3/4 or more.
    """
    net = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[2.0, 4.0]]))
    masks = secateur.prune(
        net,
        "sparsegpt",
        sparsity=0.5,
        data=[torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])],
        loss=of_outputs,
        options={"damping": 1e-12},
    )
    assert masks["weight"].tolist() == [[False, True]]
    assert net.weight.tolist() == [[0.0, 5.0]]
