"""The perceptron of network slimming."""

import pytest
import torch
from torch.nn import functional

from secateur.errors import ModelError
from secateur.models.mlp import mlp_500_300


def test_it_has_the_paper_s_neurons_and_a_scale_for_each() -> None:
    net = mlp_500_300()
    assert [tuple(net.get_submodule(f"norm{i}").weight.shape) for i in (1, 2)] == [(500,), (300,)]
    weights = sum(p.numel() for p in net.parameters() if p.ndim > 1)
    assert weights == 784 * 500 + 500 * 300 + 300 * 10


def test_it_computes_what_dense_layers_of_the_same_weights_do() -> None:
    torch.manual_seed(0)
    net = mlp_500_300((2, 6, 5), 3).eval()
    images = torch.randn(4, 2, 6, 5)
    hidden = images.flatten(1)
    for layer, norm in ((net.dense1, net.norm1), (net.dense2, net.norm2)):
        hidden = functional.linear(hidden, layer.weight.flatten(1))
        hidden = norm(hidden[..., None, None]).flatten(1).relu()
    assert torch.allclose(net(images), net.classifier(hidden), atol=1e-5)


def test_a_shape_that_is_none_is_refused() -> None:
    with pytest.raises(ModelError):
        mlp_500_300((1, 0, 28))
