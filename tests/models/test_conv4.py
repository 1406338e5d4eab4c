import pytest
import torch

from secateur.errors import ModelError
from secateur.models.conv4 import conv4


def count(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_parameters_of_the_study() -> None:
    net = conv4((3, 25, 25), 5)
    assert count(net) == 592_933
    convs = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)]
    assert [count(conv) for conv in convs] == [896, 9_248, 18_496, 36_928]
    assert sum(count(conv) for conv in convs) == 65_568


def test_defaults_are_the_study() -> None:
    assert conv4()(torch.zeros(2, 3, 25, 25)).shape == (2, 5)


def test_smallest_image_runs_and_one_less_is_refused() -> None:
    net = conv4((2, 10, 11), 4)
    assert net(torch.zeros(3, 2, 10, 11)).shape == (3, 4)
    with pytest.raises(ModelError, match=r"conv4.* is 2x11x9, expected at least 2x10x10") as caught:
        conv4((2, 11, 9), 4)
    assert "\n" not in str(caught.value)


def test_layers_have_names() -> None:
    assert [name for name, _ in conv4().named_parameters() if name.endswith("weight")] == [
        "conv1.weight",
        "conv2.weight",
        "conv3.weight",
        "conv4.weight",
        "dense.weight",
        "classifier.weight",
    ]


def test_dropout_rates_in_order() -> None:
    dropouts = [module.p for module in conv4().modules() if isinstance(module, torch.nn.Dropout)]
    assert dropouts == [0.25, 0.25, 0.5]
