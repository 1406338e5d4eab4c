"""Gradients of gates are in tests/pruning/criteria/test_taylor_gate.py; here those of examples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.pruning.statistics import gather


def mean_square(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


def test_examples_do_not_cancel() -> None:
    """Errors 1 and -1 on the input 1: the batch's gradient is 0, each example's is 2 or -2."""
    net = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(1.0)
    batches = [(torch.ones(2, 1), torch.tensor([[0.0], [2.0]]))]
    found = gather(net, ["example-gradients"], batches, mean_square)
    assert found["example-gradients"]["weight"].tolist() == [[4.0]]


def test_the_formula() -> None:
    torch.manual_seed(0)
    net, batches = nn.Linear(3, 2), [(torch.randn(n, 3), torch.randn(n, 2)) for n in (4, 1)]
    weight, bias = (one.detach().numpy().astype(np.float64) for one in net.parameters())
    squares = []
    for inputs, targets in ((x.numpy(), y.numpy()) for x, y in batches):
        for x, y in zip(inputs, targets, strict=True):
            squares.append(np.outer(weight @ x + bias - y, x) ** 2)  # the mean is over two outputs
    found = gather(net, ["example-gradients"], batches, mean_square)["example-gradients"]["weight"]
    np.testing.assert_allclose(found.numpy(), np.mean(squares, axis=0), rtol=1e-5)


def test_a_batch_without_rows_is_refused() -> None:
    net = nn.Linear(1, 1)
    with pytest.raises(MaskError, match="without a tensor that could be cut"):
        gather(net, ["example-gradients"], ["words"], lambda m, _: m(torch.ones(1, 1)).sum())
