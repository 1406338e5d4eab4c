"""An ONNX file as a network: called as the net was, with the names that the net had."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from secateur.artifact.export import export_onnx
from secateur.artifact.onnx_net import OnnxNet
from secateur.errors import ModelError


class Pair(nn.Module):
    """Two outputs, and an input that nothing depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, u: Tensor, unread: Tensor, v: Tensor) -> dict[str, Tensor]:
        return {"sum": self.left(u) + self.right(v), "left": self.left(u)}


def test_it_is_called_as_the_network_was(tmp_path: Path) -> None:
    net = Pair()
    example = {"u": torch.randn(3, 4), "unread": torch.ones(3), "v": torch.randn(3, 2)}
    export_onnx(net, example, tmp_path / "x.onnx")
    made = OnnxNet(tmp_path / "x.onnx", tuple(example))
    for given in (made(**example), made(*example.values())):
        for name, expected in net(**example).items():
            assert torch.allclose(given[name], expected, atol=1e-6)
    refused = {**example, "v": torch.randn(3, 5)}
    for wrong in (refused, {}):
        with pytest.raises(ModelError, match=r"the inputs .*expected u \['batch', 4\]"):
            made(**wrong)
