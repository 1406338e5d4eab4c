"""Rows of inputs times the weight are the rows of the output, whatever the layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from secateur.pruning import layer_rows
from secateur.pruning.layer_rows import input_rows, output_rows, places_of

LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "1d": (nn.Conv1d(2, 3, 3, stride=2, padding=2), (4, 2, 9)),
    "2d": (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), dilation=(1, 2), groups=2), (4, 4, 9, 8)),
    "3d": (nn.Conv3d(2, 3, 2, padding=(1, 0, 1)), (2, 2, 4, 5, 3)),
    "reflected": (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (3, 2, 5, 6)),
    "same, even": (nn.Conv2d(2, 2, 3, padding="same", dilation=2), (3, 2, 7, 6)),
    "without a batch": (nn.Conv2d(2, 2, 3), (2, 5, 6)),
    "linear": (nn.Linear(4, 3), (7, 4)),
    "sequences": (nn.Linear(4, 3), (2, 30, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("many", [3, 10_000])
def test_rows_times_weight_are_the_output(
    name: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_rows, "PLACES", many)
    layer, shape = LAYERS[name]
    layer.double()
    x = torch.randn(shape, dtype=torch.float64)
    out = layer(x).detach()
    places = places_of(layer, out, torch.Generator().manual_seed(0))
    rows, given = input_rows(layer, x, out, places), output_rows(layer, out, places)
    groups = int(getattr(layer, "groups", 1))
    weight = layer.weight.detach().reshape(groups, -1, rows.shape[2])  # type: ignore[operator, union-attr]
    bias = layer.bias.detach().view(groups, -1)  # type: ignore[operator, union-attr]
    assert torch.allclose(torch.einsum("ngd,god->ngo", rows, weight) + bias, given)
    assert given.shape[0] == places.numel()
    if many == 10_000:
        assert given.numel() == out.numel()
