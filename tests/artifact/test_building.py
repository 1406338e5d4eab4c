"""The dense network of a file: the very function of the study file, given what the file says."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from secateur.artifact.bench import bench
from secateur.artifact.inspect import inspect
from secateur.artifact.load import load
from secateur.artifact.manifest import Source
from secateur.artifact.save import save
from secateur.errors import ArtifactError, ModelError

SHAPE, CLASSES = (3, 4, 4), 5


def build(shape: tuple[int, ...], classes: int, width: int = 8) -> nn.Module:
    size = shape[0] * shape[1] * shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), nn.Linear(width, classes))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    source = Source(name="mynets:build", shape=list(SHAPE), classes=CLASSES, options={"width": 6})
    save(build(SHAPE, CLASSES, 6), path, source=source, example_inputs=torch.zeros(1, *SHAPE))
    return path


def test_shape_classes_and_options_are_passed_by_name(file: Path) -> None:
    assert load(file, build)[1].weight.shape == (6, 48)  # type: ignore[union-attr,index]


def test_only_what_a_function_takes_is_passed(file: Path) -> None:
    load(file, lambda: build(SHAPE, CLASSES, 6))
    load(file, lambda classes: build(SHAPE, classes, 6))
    load(file, lambda **said: build(**said))


def test_the_path_of_the_function_will_do(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Path(__file__).read_text().partition("def build")[2].partition("@pytest")[0]
    (tmp_path / "built_by_name.py").write_text(f"from torch import nn\ndef build{lines}")
    monkeypatch.chdir(tmp_path)
    load(file, "built_by_name:build")
    found = inspect(file, "built_by_name:build")
    assert [layer.name for layer in found.layers if layer.tensors] == ["1", "3"]
    made = bench(
        file, build_model="built_by_name:build", engines=["torch"], batches=(1,), repeats=2
    )
    assert made.rows[0].dense is not None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (build(SHAPE, CLASSES), "a Sequential that is built already, expected a function"),
        ({}, "a dict, expected a function"),
        (lambda size: build(SHAPE, size), "which needs size, expected one that takes"),
        (lambda: 1 / 0, "failing \\(ZeroDivisionError"),
        (lambda: 3, "a int, expected an nn.Module"),
        ("no_such_module:build", "not importable"),
        (lambda: nn.Linear(2, 2), "tensors that the network does not have"),
    ],
)
def test_what_builds_no_network_is_told(file: Path, given: object, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load(file, given)  # type: ignore[arg-type]


def test_the_shape_of_the_example_is_given_to_what_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save(nn.Linear(4, 2), path, example_inputs=torch.zeros(1, 4))
    load(path, lambda shape: nn.Linear(shape[0], 2))
    load(path, lambda **taken: nn.Linear(4, 2, **taken))  # nothing that it does not ask for


def test_an_option_that_may_be_a_path_is_not_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save(nn.Linear(4, 2), path, source=Source(name="m:f", options={"weights": "/etc/passwd"}))
    with pytest.raises(ArtifactError, match="'weights' of the builder is text of the file"):
        load(path, lambda weights: nn.Linear(4, len(weights)))
    load(path, lambda: nn.Linear(4, 2))


def test_numbers_of_a_file_build_no_net_beyond_its_size(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save(nn.Linear(4, 2), path, source=Source(name="m:f", options={"width": 1 << 40}))
    with pytest.raises(ArtifactError):
        load(path, lambda width: nn.Linear(width, 2))


class Other(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        out: Tensor = self.first(inputs)
        return out


def test_inspect_tells_of_a_foreign_file_what_the_net_knows(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "plain.safetensors"
    save_file({"first.weight": torch.zeros(2, 4), "first.bias": torch.zeros(2)}, path)
    assert inspect(path).layers[0].kind == ""
    (layer,) = inspect(path, Other).layers
    assert (layer.kind, layer.weight and layer.weight.dense_shape) == ("Linear", (3, 4))
    with pytest.raises(ModelError):
        inspect(path, lambda: nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("net.pt2", b"PK\x03\x04" + bytes(60), r"a zip archive, as torch.export \(.pt2\)"),
        ("net.pt", b"\x80\x02" + bytes(60) + b"\xff", "a pickle|a header"),
        ("net.h5", b"\x89HDF\r\n\x1a\n" + bytes(60), "an HDF5 file"),
        ("net.bin", b"\x08\x07\x12\x07pytorch" + bytes(60), "perhaps ONNX"),
    ],
)
def test_files_of_others_are_named_for_what_they_are(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for use in (inspect, load, lambda place: bench(place, build_model=Other)):
        with pytest.raises(ArtifactError, match=words):
            use(path)


def test_our_own_pt2_says_that_it_is_not_read(tmp_path: Path) -> None:
    from secateur.artifact.export import export_pt2

    path = tmp_path / "net.pt2"
    export_pt2(nn.Linear(4, 2), torch.zeros(1, 4), path)
    for use in (inspect, lambda place: bench(place, build_model=Other)):
        with pytest.raises(ArtifactError, match=r"torch\.export\.load.*--to onnx"):
            use(path)
