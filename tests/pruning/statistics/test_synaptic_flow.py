from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

import secateur
from secateur.errors import MaskError, ModelError
from secateur.pruning.statistics import gather


def two_layers() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.0]]))
        net[2].weight.copy_(torch.tensor([[-5.0, 7.0]]))
    return net


def flow(net: nn.Module, example: torch.Tensor) -> dict[str, torch.Tensor]:
    found = gather(net, ["synaptic-flow"], (), lambda *_: torch.zeros(()), example_inputs=example)
    return found["synaptic-flow"]


def test_flows_by_hand() -> None:
    """Into the last layer flow 1 + 2 and 3; out of the first |-5| and 7."""
    found = flow(two_layers(), torch.tensor([[-9.0, 4.0]]))
    assert found["0.weight"].tolist() == [[5.0, 5.0], [7.0, 7.0]]
    assert found["2.weight"].tolist() == [[3.0, 3.0]]


def test_what_flows_into_a_neuron_flows_out_of_it() -> None:
    """Theorem 1 of the paper: the scores of each layer have the same sum, with R."""
    torch.manual_seed(0)
    widths = (4, 6, 5, 3)
    layers = [nn.Linear(*pair, bias=False) for pair in itertools.pairwise(widths)]
    net = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    found = flow(net, torch.randn(1, 4))
    matrices = [np.abs(one.weight.detach().numpy().astype(np.float64)) for one in layers]
    total = (matrices[2] @ matrices[1] @ matrices[0]).sum()
    for name, number in (("0.weight", 0), ("2.weight", 1), ("4.weight", 2)):
        np.testing.assert_allclose((matrices[number] * found[name].numpy()).sum(), total)


def test_the_network_is_left_as_it_is() -> None:
    net = two_layers()
    before = copy.deepcopy(net.state_dict())
    flow(net, torch.ones(1, 2))
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())


def test_the_example_is_asked_for_and_checked() -> None:
    with pytest.raises(MaskError, match="Pass example_inputs="):
        secateur.prune(two_layers(), "synflow", sparsity=0.5)
    with pytest.raises(ModelError, match="fails on inputs of shape 1x3"):
        secateur.prune(two_layers(), "synflow", sparsity=0.5, example_inputs=torch.ones(1, 3))
