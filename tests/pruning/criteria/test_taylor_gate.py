from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.pruning.criteria.taylor_gate import taylor_gate
from secateur.pruning.criterion import Statistics
from secateur.pruning.statistics import gather


def mean_square(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).square().mean()


def test_what_was_gathered_is_the_score() -> None:
    known = Statistics(gathered={"gate-gradients": {"w": torch.tensor([4.0, 1.0])}})
    assert taylor_gate("w", torch.zeros(2, 9), known).tolist() == [4.0, 1.0]
    with pytest.raises(MaskError, match="2 gate-gradients, expected one for each of its 3 units"):
        taylor_gate("w", torch.zeros(3, 9), known)


def test_opposed_weights_count_by_their_difference() -> None:
    """Output 1 x 1 - 1 x 1 = 0 from two weights: the gate is idle. Of the other, 2 x 2 x 2 = 8."""
    net = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
    found = gather(net, ["gate-gradients"], [torch.ones(1, 2)], lambda m, b: m(b).square().sum())
    assert found["gate-gradients"]["weight"].tolist() == [0.0, 64.0]


@pytest.mark.parametrize("transposed", [False, True])
def test_the_formula(transposed: bool) -> None:
    """The mean over batches of (sum of g w)^2, by the weights of each output channel."""
    torch.manual_seed(0)
    net = nn.ConvTranspose2d(2, 3, 2) if transposed else nn.Conv2d(2, 3, 2)
    batches = [torch.randn(4, 2, 5, 5) for _ in range(3)]
    expected = np.zeros(3)
    for batch in batches:
        net.zero_grad()
        mean_square(net, batch).backward()  # type: ignore[no-untyped-call]
        assert net.weight.grad is not None
        product = (net.weight.grad * net.weight.detach()).numpy().astype(np.float64)
        axes = (0, 2, 3) if transposed else (1, 2, 3)
        expected += product.sum(axis=axes) ** 2 / len(batches)
    found = gather(net, ["gate-gradients"], batches, mean_square)["gate-gradients"]["weight"]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
