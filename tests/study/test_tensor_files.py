from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from secateur.errors import MaskError, UnknownNameError
from secateur.spec import StudySpec, read_study
from secateur.study.cut_check import check_cuts
from secateur.study.tensor_files import contents_of, read_tensors


def written(path: Path, tensors: dict[str, Tensor]) -> str:
    save_file(tensors, path)
    return str(path)


def study(**settings: Any) -> StudySpec:
    return StudySpec.model_validate({"methods": {"magnitude": {}, "dense": {}}, **settings})


def test_a_file_is_what_it_was_or_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a", {"w": torch.ones(2)})
    contents = contents_of(study(masks=path))
    assert list(contents) == [path]
    assert read_tensors(path, contents)["w"].tolist() == [1.0, 1.0]
    written(tmp_path / "a", {"w": torch.zeros(2)})
    assert read_tensors(path)["w"].tolist() == [0.0, 0.0]
    with pytest.raises(MaskError, match="not as it was when the sweep began"):
        read_tensors(path, contents)


def test_only_files_that_a_cut_goes_by_are_read() -> None:
    assert contents_of(study(methods={"dense": {}}, scores="none", masks="none")) == {}
    controls = study(methods={"random-weight": {}}, scores="none")
    assert contents_of(controls) == {}


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x80\x04pickle"])
def test_what_is_no_file_of_tensors(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MaskError, match="reading scores or masks"):
        read_tensors(str(path))


def test_paths_of_a_study_file_are_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('masks = "m"\n[methods.magnitude]\nscores = "s"\n[methods.dense]\n')
    found = read_study(file)
    assert (found.masks, found.scores) == (str(tmp_path / "m"), "")
    assert found.methods["magnitude"].scores == str(tmp_path / "s")
    assert found.methods["dense"].scores is None


WRONG: dict[str, tuple[str, dict[str, Tensor], type[Exception]]] = {
    "an unknown name": ("scores", {"9.weight": torch.ones(2, 4)}, UnknownNameError),
    "another shape": ("scores", {"0.weight": torch.ones(3, 3)}, MaskError),
    "not all weights": ("scores", {"1.weight": torch.ones(4, 2)}, MaskError),
    "masks that are no bool": ("masks", {"0.weight": torch.ones(2, 4)}, MaskError),
    "masks of another net": ("masks", {"9.weight": torch.ones(2, dtype=torch.bool)}, MaskError),
}


@pytest.mark.parametrize("title", WRONG)
def test_what_does_not_fit_is_refused_before_training(title: str, tmp_path: Path) -> None:
    setting, tensors, error = WRONG[title]
    spec = study(**{setting: written(tmp_path / "a", tensors)})
    net = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 4))
    with pytest.raises(error):
        check_cuts(spec, "magnitude", net, torch.zeros(1, 4))
