"""The sensitivity of a study's dense net: trained once, kept for the sweep, scored as it scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import secateur
from secateur.errors import MaskError, StoreError, UnknownNameError, UsageError
from secateur.point import Score
from secateur.spec import StudySpec, check_study
from secateur.study import sweep
from secateur.study.sensitivity import study_in, study_sensitivity
from secateur.study.store import Store
from secateur.study.sweep import run_study

VALUES: dict[str, Any] = {
    "name": "small",
    "model": {"name": "lenet-5"},
    "data": {"name": "shapes", "options": {"train": 64, "val": 20, "test": 20, "size": 28}},
    "levels": [0.5],
    "training": {"base_epochs": 1, "retrain_epochs": 0, "batch_size": 32},
    "exclude": ["classifier"],
    "methods": {"magnitude": {}, "slimming": {"sparsity_epochs": 1}, "dense": {}},
}
SIZES = {"conv1.weight": 1500, "conv2.weight": 25000, "dense.weight": 400000}


def study(**changes: Any) -> StudySpec:
    return check_study({**VALUES, **changes}, "a test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("runs") / "small"
    with pytest.MonkeyPatch.context() as patch:
        # How long its nets take is tested elsewhere, and takes longest.
        patch.setattr(sweep, "time_points", lambda *_: None)
        study_sensitivity(study(), made, "magnitude", [0.5], device="cpu")
        yield made


def test_the_dense_net_that_it_trains_is_the_sweeps(folder: Path) -> None:
    (base,) = Store(folder).points()
    assert base.method == "dense"
    run_study(study(methods={"magnitude": {}}), folder, device="cpu", workers=1)
    dense, cut = Store(folder).points()
    assert (dense.digest, cut.method) == (base.digest, "magnitude")


def test_the_score_that_chooses_of_each_layer_that_takes_part(folder: Path) -> None:
    told: list[Any] = []
    found = study_sensitivity(
        study_in(folder), folder, "magnitude", [0.5, 0.9], device="cpu", on_cut=told.append
    )
    assert found.layers == tuple(SIZES)
    assert (found.method, found.levels, tuple(told)) == ("magnitude", (0.5, 0.9), found.cuts)
    base = Store(folder).points()[0]
    assert found.score == next(one for one in base.scores if one.split == "val")
    for cut in found.cuts:
        assert isinstance(cut.score, Score)
        assert (cut.score.name, cut.score.total) == ("val_accuracy", 20)
        size = SIZES[cut.layer]
        assert (cut.zeros.part, cut.zeros.total) == (round(cut.sparsity * size), size)
    assert found.total == base.sparsity.total


def test_a_method_of_channels_that_is_not_in_the_study(folder: Path) -> None:
    found = study_sensitivity(study(), folder, "l1-filter", [0.25], device="cpu")
    # 5 of 20 filters of 25 weights, and 12 of 50, as near to 12.5 as 13, of 500.
    assert [cut.zeros.part for cut in found.cuts] == [5 * 75, 12 * 500]


def test_what_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(StoreError, match=r"slimming starts from \(slim\)"):
        study_sensitivity(study(), folder, "slimming", [0.5], device="cpu")
    other = study(training={**VALUES["training"], "base_epochs": 2})
    with pytest.raises(StoreError, match=r"magnitude starts from \(base\)"):
        study_sensitivity(other, folder, "magnitude", [0.5], device="cpu")
    with pytest.raises(MaskError, match="the seed is 7, expected one of 0"):
        study_sensitivity(study(), folder, "magnitude", [0.5], seed=7, device="cpu")


def test_in_python_a_net_of_ones_own_is_handed_over(folder: Path) -> None:
    held = secateur.Study(folder)
    assert held.sensitivity(levels=[0.5], device="cpu").layers == tuple(SIZES)
    with pytest.raises(StoreError, match="base"):  # another net than the folder's
        held.sensitivity(levels=[0.5], device="cpu", model=another)


def another(shape: tuple[int, int, int], classes: int) -> nn.Module:
    net = nn.Sequential(nn.Conv2d(shape[0], 2, 3), nn.Flatten())
    net.add_module("classifier", nn.Linear(2 * 26 * 26, classes))
    return net


@pytest.mark.parametrize("method", ["dense", "scratch"])
def test_a_control_cuts_nothing(method: str, tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="cuts nothing"):
        study_sensitivity(study(), tmp_path / "none", method, [0.5])
    assert not (tmp_path / "none").exists()


def test_bad_input_trains_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'magnitude'"):
        study_sensitivity(study(), tmp_path / "none", "magnitud", [0.5])
    with pytest.raises(MaskError):
        study_sensitivity(study(), tmp_path / "none", "magnitude", [1.5])
    with pytest.raises(UsageError):
        study_in(tmp_path / "none")
    assert not (tmp_path / "none").exists()
