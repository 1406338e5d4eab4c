import pytest
import torch
from torch import nn

from secateur.pruning.channel_axis import channel_axis

LAYERS = {
    "linear": (nn.Linear(4, 6), (2, 3, 4), 2),
    "linear, one row": (nn.Linear(4, 6), (4,), 0),
    "conv": (nn.Conv2d(4, 6, 3), (2, 4, 8, 8), 1),
    "conv, not batched": (nn.Conv2d(4, 6, 3), (4, 8, 8), 0),
    "transposed": (nn.ConvTranspose1d(4, 6, 3), (2, 4, 8), 1),
    "batch norm": (nn.BatchNorm2d(4), (2, 4, 8, 8), 1),
    "group norm": (nn.GroupNorm(2, 4), (2, 4, 8), 1),
    "layer norm": (nn.LayerNorm(4), (2, 3, 4), 2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_the_same_in_the_input_and_the_output(name: str) -> None:
    layer, shape, axis = LAYERS[name]
    inputs = torch.rand(shape)
    assert inputs.shape[axis] == 4
    output = layer(inputs)
    assert channel_axis(layer, inputs) == channel_axis(layer, output) == axis
