"""The reader: manifest and container have to agree."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from secateur.artifact.container import Container, write
from secateur.artifact.load import load_state_dict
from secateur.artifact.manifest import KEY, Manifest
from secateur.artifact.reader import reading
from secateur.artifact.save import save
from secateur.artifact.tensors import as_bytes, bits
from secateur.errors import ArtifactError


def file(path: Path, **fields: Any) -> Path:
    """A signed file with one 2x3 tensor and a manifest of these fields."""
    content = as_bytes(bits(torch.arange(6.0)))
    manifest = Manifest(version=1, **fields)
    write(path, [("a", "F32", [2, 3], content)], {KEY: manifest.to_text()})
    return path


def coded(**fields: Any) -> dict[str, Any]:
    whole = {"dtype": "F32", "shape": [6], "zeros": 0, "nonzero": 0, "gaps": 0, "frames": [24]}
    return whole | fields


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    with reading(file(tmp_path / "x", strides={"a": [1, 2]})) as held:
        assert held.names == ("a",)
        assert held.shape("a") == (2, 3)
        assert held.tensor("a").stride() == (1, 2)
        assert held.tensor("a").ravel().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "fields",
    [
        {"coded": {"gone": coded()}},
        {"coded": {"a": coded()}},
        {"tied": {"b": "gone"}},
        {"tied": {"a": "a"}},
        {"strides": {"gone": [1]}},
        {"strides": {"a": [3]}},
        {"strides": {"a": [0, 0]}},
        {"slots": {"a": {"0": 0}}},
        {"dense": {"a": [2]}},
        {"dense": {"gone": [2, 3]}},
    ],
)
def test_a_manifest_of_other_tensors_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError), reading(file(tmp_path / "x", **fields)):
        pass


@pytest.mark.parametrize(
    "fields",
    [
        coded(dtype="F99"),
        coded(shape=[1 << 61, 8]),
        coded(shape=[1 << 40]),
        coded(nonzero=7),
        coded(frames=[1 << 40]),
        coded(frames=[]),
    ],
)
def test_a_code_of_impossible_sizes_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    manifest = Manifest(version=1, coded={"a": fields})  # type: ignore[dict-item]
    write(tmp_path / "x", [("a", "U8", [24], memoryview(bytes(24)))], {KEY: manifest.to_text()})
    with pytest.raises(ArtifactError):
        load_state_dict(tmp_path / "x")


def test_a_manifest_without_the_checksum_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "x", {KEY: Manifest(version=1).to_text()})
    with pytest.raises(ArtifactError, match="without its SHA-256"), reading(tmp_path / "x"):
        pass


def test_a_type_that_torch_lacks_is_named(tmp_path: Path) -> None:
    write(tmp_path / "x", [("a", "F8_E8M0", [2], memoryview(b"xx"))], {})
    with pytest.raises(ArtifactError, match="F8_E8M0"):
        load_state_dict(tmp_path / "x")


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    save(nn.Linear(300, 300), tmp_path / "x")
    with Container.open(tmp_path / "x") as held:
        (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-10])
        with pytest.raises(ArtifactError, match="cut off"):
            held.read(list(held.entries)[-1])
