"""The kind of a file follows its suffix, and a contradiction is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from secateur.artifact.export import export_onnx, export_pt2
from secateur.artifact.path import format_of
from secateur.artifact.save import save
from secateur.errors import ArtifactError


@pytest.mark.parametrize(
    ("path", "to", "kind"),
    [
        (None, None, "safetensors"),
        (None, "onnx", "onnx"),
        ("net.ONNX", None, "onnx"),
        ("a.b/net.pt2", None, "pt2"),
        ("net", None, "safetensors"),
        (".onnx", None, "onnx"),
        ("net.", None, "safetensors"),
        ("net-0.5", None, "safetensors"),
        ("net.bin", "pt2", "pt2"),
        ("net.onnx", "onnx", "onnx"),
    ],
)
def test_the_kind_of_a_file(path: str | None, to: str | None, kind: str) -> None:
    assert format_of(path, to, "exporting") == kind


@pytest.mark.parametrize(
    ("path", "to", "words"),
    [
        (".pt2", "onnx", r"\.pt2 is a name for pt2"),
        ("net.onnx.gz", None, r"ends in \.gz"),
        ("net.onnx", "pt2", r"a name for onnx, expected one that ends in \.pt2"),
        ("net.safetensors", "onnx", r"End it in \.onnx, or ask for safetensors"),
        ("net.pth", None, r"ends in \.pth, expected one in \.safetensors, \.onnx, \.pt2"),
        (None, "tflite", "'tflite', expected one of safetensors, onnx, pt2"),
    ],
)
def test_a_contradiction_is_refused(path: str | None, to: str | None, words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        format_of(path, to, "exporting")


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda path: save(nn.Linear(4, 2), path), "net.onnx"),
        (lambda path: export_onnx(nn.Linear(4, 2), torch.zeros(1, 4), path), "net.pt2"),
        (lambda path: export_pt2(nn.Linear(4, 2), torch.zeros(1, 4), path), "net.safetensors"),
    ],
)
def test_no_file_is_written_under_the_suffix_of_another_kind(
    tmp_path: Path, write: Callable[[Path], None], name: str
) -> None:
    with pytest.raises(ArtifactError, match="a name for"):
        write(tmp_path / name)
    assert not list(tmp_path.iterdir())
