import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from secateur.errors import ModelError
from secateur.measure.cost import cost
from secateur.measure.sparsity import Zeros, sparsity
from secateur.models import build


def filled(net: nn.Module, value: float = 1.0) -> nn.Module:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(value)
    return net


def test_golden_table() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    filled(net)
    with torch.no_grad():
        net[0].weight[1] = 0  # 9 of 18
        net[0].bias[1] = 0  # 1 of 2
        net[1].weight.zero_()  # 2 of 4 in the norm
        net[3].weight[:, :2] = -0.0  # 6 of 24; 3 biases
    counted = sparsity(net)
    assert counted.prunable == Zeros(15, 42)
    assert counted.conv == Zeros(9, 18)
    assert counted.model == Zeros(18, 51)


def test_denominators_of_the_study() -> None:
    counted = sparsity(build("conv4", (3, 25, 25), 5))
    assert counted.model.total == 592_933
    assert counted.conv.total == 65_568 - 192
    assert counted.prunable.total == 592_933 - 192 - 512 - 5
    assert counted.prunable.zeros == 0


def test_a_net_without_convolutions() -> None:
    assert sparsity(filled(nn.Linear(2, 2), 0)).conv == Zeros(0, 0)


def test_a_tied_weight_counts_once() -> None:
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    net[1].weight = net[0].weight
    nn.init.eye_(net[0].weight)
    assert sparsity(net).prunable == sparsity(net).model == Zeros(6, 9)


def test_what_is_not_zero() -> None:
    net = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1e-45, float("nan"), float("-inf"), 0.0]]))
    assert sparsity(net).prunable == Zeros(1, 4)


def test_nothing_prunable() -> None:
    with pytest.raises(ModelError):
        sparsity(nn.BatchNorm2d(3))


@given(seed=st.integers(0, 2**16), share=st.floats(0, 1))
def test_agrees_with_the_cost_on_every_mask(seed: int, share: float) -> None:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Flatten(), nn.Linear(3, 4))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(torch.rand_like(parameter) >= share)
    counted = sparsity(net)
    costs = cost(net, torch.zeros(1, 2, 1, 1))
    assert counted.model == Zeros(costs.parameters - costs.nonzero, costs.parameters)
    # Every weight of this net is used exactly once.
    assert counted.prunable == Zeros(costs.macs - costs.nonzero_macs, costs.macs)
