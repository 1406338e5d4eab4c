from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

import secateur
from secateur.pruning.criteria.snip import snip
from secateur.pruning.criterion import Statistics


def known(slopes: Tensor) -> Statistics:
    return Statistics(gathered={"gradients": {"w": slopes}})


def test_sensitivities_by_hand() -> None:
    scores = snip("w", torch.tensor([[2.0, 3.0]]), known(torch.tensor([[0.5, -1.0]])))
    assert scores.tolist() == [4.0]


def test_the_formula() -> None:
    """The paper's sensitivity without its denominator, which is one for all."""
    drawn = torch.Generator().manual_seed(5)
    rows, slopes = torch.randn(9, 4, generator=drawn), torch.randn(9, 4, generator=drawn)
    expected = np.abs(rows.numpy().astype(np.float64) * slopes.numpy()).sum(axis=1)
    np.testing.assert_allclose(snip("w", rows, known(slopes)).numpy(), expected, rtol=1e-13)


def test_a_dead_layer_goes_first_but_for_one_weight() -> None:
    net = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 3, bias=False))
    slopes = {"0.weight": torch.zeros(2, 3), "1.weight": torch.ones(3, 2)}
    masks = secateur.prune(
        net, "snip", sparsity=0.5, statistics=Statistics(gathered={"gradients": slopes})
    )
    assert masks["0.weight"].sum() == 1
    assert masks["1.weight"].sum() == 5
    assert masks.floored == ("0.weight",)


def test_it_is_the_slope_of_the_loss_in_a_gate_on_the_connection() -> None:
    """By a difference quotient: the loss with one weight a little longer, and a little shorter."""
    torch.manual_seed(0)
    net = nn.Linear(3, 2, bias=False).double()
    batch = torch.randn(4, 3, dtype=torch.float64)

    def loss(model: nn.Module, inputs: Tensor) -> Tensor:
        return torch.tanh(model(inputs)).square().mean()

    masks = secateur.prune(net, "snip", sparsity=0.0, data=[batch], loss=loss)
    assert masks.zeros == 0
    from secateur.pruning.statistics import gather

    slopes = gather(net, ["gradients"], [batch], loss)["gradients"]["weight"]
    scores = snip("w", net.weight.detach().reshape(-1, 1), known(slopes.reshape(-1, 1)))
    step = 1e-6
    for number in range(6):
        ends = []
        for gate in (1 + step, 1 - step):
            gated = nn.Linear(3, 2, bias=False).double()
            with torch.no_grad():
                gated.weight.copy_(net.weight)
                gated.weight.view(-1)[number] *= gate
                ends.append(loss(gated, batch).item())
        assert abs(abs(ends[0] - ends[1]) / (2 * step) - scores[number].item()) < 1e-8
