from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from secateur.pruning.weight_matrix import WeightMatrix

LAYERS: dict[str, nn.Module] = {
    "linear": nn.Linear(6, 4),
    "conv1d": nn.Conv1d(6, 4, 3),
    "conv2d": nn.Conv2d(6, 4, (2, 3)),
    "grouped": nn.Conv2d(6, 4, 2, groups=2),
    "depthwise": nn.Conv2d(6, 6, 3, groups=6),
    "transposed": nn.ConvTranspose2d(6, 4, 2, groups=2),
    "bilinear": nn.Bilinear(2, 3, 4),
}


@pytest.mark.parametrize("name", list(LAYERS))
def test_there_and_back(name: str) -> None:
    layer: Any = LAYERS[name]
    layout = WeightMatrix.of(layer, layer.weight.shape)
    matrix = layout.of_tensor(layer.weight)
    assert matrix.shape == (layout.groups, layout.outputs, layout.inputs, layout.kernel)
    assert torch.equal(layout.to_tensor(matrix), layer.weight)


@pytest.mark.parametrize("name", ["conv2d", "grouped", "depthwise", "transposed"])
def test_a_row_is_what_one_output_reads_and_a_column_what_one_input_gives(name: str) -> None:
    """Found by running the layer: one weight at a time, one input channel at a time."""
    layer: Any = LAYERS[name]
    layout = WeightMatrix.of(layer, layer.weight.shape)
    numbers = layout.of_tensor(torch.arange(layer.weight.numel()).view(layer.weight.shape))
    image = torch.zeros(layer.in_channels, layer.in_channels, 5, 5)
    image[torch.arange(layer.in_channels), torch.arange(layer.in_channels)] = 1
    with torch.no_grad():
        for group, output, column, place in ((0, 0, 0, 0), (-1, -1, -1, -1), (-1, 0, -1, 0)):
            weight = torch.zeros_like(layer.weight)
            weight.view(-1)[int(numbers[group, output, column, place])] = 1
            call = nn.functional.conv_transpose2d if layout.transposed else nn.functional.conv2d
            seen = call(image, weight, groups=layout.groups).abs().sum((2, 3))
            read, given = (int(one) for one in torch.nonzero(seen)[0])
            assert read == group % layout.groups * layout.inputs + column % layout.inputs
            assert given == group % layout.groups * layout.outputs + output % layout.outputs
