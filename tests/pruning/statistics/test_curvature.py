"""The Hessian's diagonal and its product with the gradient, against the whole Hessian."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian

from secateur.errors import MaskError
from secateur.pruning.statistics import gather

BATCHES = [torch.randn(3, 2, generator=torch.Generator().manual_seed(n)) for n in range(2)]


def cubed(model: nn.Module, batch: Tensor) -> Tensor:
    return (model(batch) ** 3).mean()


def of_weight(weight: Tensor, batch: Tensor) -> Tensor:
    return ((batch @ weight.reshape(2, 2).T) ** 3).mean()


def net_of(weight: Tensor) -> nn.Linear:
    net = nn.Linear(2, 2, bias=False)
    net.weight = nn.Parameter(weight.clone())
    return net


def test_a_diagonal_hessian_is_found_exactly() -> None:
    """The loss is 3 a^2 + 5 b^2: second derivatives 6 and 10, whatever the signs drawn."""

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return (model.weight.square() * batch).sum()

    found = gather(net_of(torch.ones(1, 2)), ["hessian-diagonal"], [torch.tensor([3.0, 5.0])], loss)
    assert found["hessian-diagonal"]["weight"].tolist() == [[6.0, 10.0]]


def test_hutchinsons_estimate_comes_near_the_diagonal() -> None:
    weight = torch.randn(2, 2, generator=torch.Generator().manual_seed(5))
    batch = BATCHES[0]
    exact = hessian(lambda one: of_weight(one, batch), weight.reshape(-1)).diagonal()
    found = gather(net_of(weight), ["hessian-diagonal"], [batch] * 200, cubed)
    estimate = found["hessian-diagonal"]["weight"].reshape(-1)
    # 800 probes; an entry's deviation is the norm of the rest of its row.
    assert torch.allclose(estimate.float(), exact, atol=0.15 * float(exact.abs().max()))


def test_the_estimate_is_fixed_by_the_seed() -> None:
    net = net_of(torch.ones(2, 2))
    one, same, other = (
        gather(net, ["hessian-diagonal"], BATCHES, cubed, seed=seed)["hessian-diagonal"]["weight"]
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_product_is_that_of_both_means() -> None:
    """Not the mean of the products of each batch."""
    weight = torch.randn(4, generator=torch.Generator().manual_seed(6))

    def mean(one: Tensor) -> Tensor:
        return torch.stack([of_weight(one, batch) for batch in BATCHES]).mean()

    leaf = weight.clone().requires_grad_()
    (slope,) = torch.autograd.grad(mean(leaf), leaf)
    expected = hessian(mean, weight) @ slope
    found = gather(net_of(weight.reshape(2, 2)), ["gradient-flow"], BATCHES, cubed)
    assert torch.allclose(found["gradient-flow"]["weight"].reshape(-1).float(), expected, rtol=1e-4)


def test_a_generator_is_used_up_by_the_first_of_two_passes() -> None:
    with pytest.raises(MaskError, match="none in pass 2"):
        gather(net_of(torch.ones(2, 2)), ["gradient-flow"], iter(BATCHES), cubed)


def test_a_loss_that_is_linear_has_no_curvature_to_rank_by() -> None:
    with pytest.raises(MaskError, match="zero for every weight"):
        gather(net_of(torch.ones(2, 2)), ["hessian-diagonal"], BATCHES, lambda m, b: m(b).sum())


class Once(torch.autograd.Function):
    """An operator whose backward has none of its own."""

    @staticmethod
    def forward(_: object, x: Tensor) -> Tensor:
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(_: object, gradient: Tensor) -> Tensor:
        return gradient


def test_an_operator_without_a_second_derivative_is_named() -> None:
    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return Once.apply(model(batch)).square().sum()

    with pytest.raises(MaskError, match="the second derivative of the loss"):
        gather(net_of(torch.ones(2, 2)), ["hessian-diagonal"], BATCHES, loss)
