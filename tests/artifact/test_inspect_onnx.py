"""Looking into ONNX files: multiply-adds, and files that are none or name others."""

from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from secateur.artifact.export import export_onnx
from secateur.artifact.inspect import inspect
from secateur.errors import ArtifactError
from secateur.measure.cost import cost


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (nn.Conv2d(4, 8, 3, groups=2, padding=1), (4, 6, 6)),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (4, 5, 5)),
        (nn.Sequential(nn.Linear(4, 3)), (7, 4)),
        (nn.Conv1d(2, 3, 3, stride=2), (2, 9)),
    ],
)
def test_multiplications_of_an_onnx_graph(
    tmp_path: Path, net: nn.Module, shape: tuple[int, ...]
) -> None:
    example = torch.rand(1, *shape)
    export_onnx(net, example, tmp_path / "x.onnx")
    assert inspect(tmp_path / "x.onnx").totals()["macs"] == cost(net, example).macs


def test_weights_in_other_files_are_named_and_never_opened(tmp_path: Path) -> None:
    export_onnx(nn.Linear(4, 3), torch.rand(1, 4), tmp_path / "x.onnx")
    proto = onnx.load(tmp_path / "x.onnx")
    for tensor in proto.graph.initializer:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        tensor.external_data.add(key="location", value="../../../../etc/passwd")
    (tmp_path / "y.onnx").write_bytes(proto.SerializeToString())
    found = inspect(tmp_path / "y.onnx").totals()
    assert found["zeros"] is None
    assert found["parameters"] == 15


@pytest.mark.parametrize("content", [b"", b"no", b"\x08" * 1000, bytes(range(256))])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ArtifactError):
        inspect(tmp_path / "x.onnx")
