"""Cuts during a retraining, in a study of a small net."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import secateur
from secateur.data.images import ImageData
from secateur.data.shapes import shapes
from secateur.errors import StoreError
from secateur.spec import StudySpec
from secateur.study import run_training
from secateur.study.checkpoint import load_checkpoint, load_early
from secateur.study.folder import checkpoint_name
from secateur.study.plan import plan

from .small_nets import one_norm
from .small_study import Study

TRAINING = {"base_epochs": 1, "retrain_epochs": 3, "batch_size": 16}
GRADUAL: dict[str, Any] = {"schedule": "gradual"}
SETTINGS: dict[str, Any] = {
    "levels": [0.5, 0.75],
    "training": TRAINING,
    "methods": {
        "magnitude": GRADUAL,
        "l1-filter": {**GRADUAL, "until": 0.5, "cuts": 2},
        "wanda": {**GRADUAL, "levels": [0.5]},
        "growing": {},
        "scratch": {"like": "l1-filter"},
    },
}


@pytest.fixture(scope="module")
def data() -> ImageData:
    return shapes(train=64, val=20, test=20, size=8)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, data: ImageData) -> Study:
    return Study(tmp_path_factory.mktemp("gradual"), data, SETTINGS)


def test_every_level_is_reached_exactly_by_one_retraining_from_the_dense_net(study: Study) -> None:
    for step, zeros in ((0, 416), (1, 624)):
        point = study.point("magnitude", step)
        assert (point.sparsity.part, point.sparsity.total) == (zeros, 832)
        assert (point.epochs.base, point.epochs.retrain, point.epochs.cumulative) == (1, 3, 4)
        assert [entry["epoch"] for entry in point.curve] == [1, 2, 3]
        run = study.find("magnitude", step)
        assert (set(run.parents), study.told[run.digest]) == ({"base"}, [1, 2, 3])
        channels = study.point("l1-filter", step).conv_sparsity
        assert (channels.part, channels.total) == (396 if step == 0 else 594, 792)


def test_what_grows_is_chosen_in_the_dense_net_and_cut_in_its_one_retraining(
    study: Study, data: ImageData
) -> None:
    base, _ = load_checkpoint(study.folder / checkpoint_name(study.runs[0].digest))
    net = one_norm(data.shape, data.classes)
    net.load_state_dict(base)
    for step, level in enumerate((0.5, 0.75)):
        chosen = secateur.prune(
            copy.deepcopy(net), "l1-filter", sparsity=level, example_inputs=data.example(2)
        )
        point, (_, masks) = study.point("growing", step), study.saved("growing", step)
        assert masks == chosen
        assert (point.epochs.base, point.epochs.retrain, point.epochs.cumulative) == (1, 3, 4)
        assert (set(study.find("growing", step).parents), point.before) == ({"base"}, ())
        assert point.macs < point.masked_macs


def test_statistics_are_gathered_once(study: Study) -> None:
    assert study.point("wanda").epochs.statistics == 1
    assert study.point("wanda").sparsity.part == 416


def test_what_is_gone_is_zero_by_the_bits_and_the_rest_has_trained(study: Study) -> None:
    for method in ("magnitude", "l1-filter", "wanda", "growing"):
        state, masks = study.saved(method)
        assert masks.zeros
        for name, mask in masks.items():
            zeros = state[name][~mask]
            assert torch.equal(zeros.view(torch.int32), torch.zeros_like(zeros, dtype=torch.int32))
            assert bool((state[name][mask] != 0).any())


def test_channels_that_went_on_the_way_are_gone_from_the_compact_net(study: Study) -> None:
    point = study.point("l1-filter")
    assert point.macs < point.masked_macs
    assert point.compact_parameters < point.parameters


def test_there_is_no_score_between_a_cut_and_its_retraining(study: Study) -> None:
    assert study.point("magnitude").before == ()
    assert study.point("scratch").before


def test_the_same_run_gives_the_same_bits(tmp_path: Path, data: ImageData, study: Study) -> None:
    again = Study(tmp_path, data, {**SETTINGS, "methods": {"magnitude": GRADUAL}})
    assert again.find("magnitude").digest == study.find("magnitude").digest
    first, second = (one.saved("magnitude") for one in (study, again))
    assert first[1] == second[1]
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, data: ImageData) -> Study:
    training = {**TRAINING, "retrain_epochs": 5, "budget": "total", "distill": 0.5}
    methods = {"magnitude": {}, "l1-filter": {}, "wanda": {**GRADUAL, "levels": [0.5]}}
    settings = {"levels": [0.5, 0.75], "training": training, "methods": methods}
    return Study(tmp_path_factory.mktemp("taught"), data, settings)


def test_the_passes_of_a_teacher_count_in_the_budget(taught: Study) -> None:
    assert {point.epochs.cumulative for point in taught.points.values()} == {6}
    point = taught.point("l1-filter")
    assert (point.epochs.retrain, point.epochs.teacher) == (4, 1)
    # Of the gradual method's five epochs one went to its statistics.
    point = taught.point("wanda")
    assert (point.epochs.retrain, point.epochs.statistics, point.epochs.teacher) == (3, 1, 1)
    for run in taught.runs:
        if run.kind == "point":
            assert len(taught.points[run.digest].curve) == run.epochs


def test_the_teacher_is_the_dense_net_and_each_epoch_that_is_paid_is_taught(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[dict[str, torch.Tensor], int]] = []

    def noted(model: nn.Module, weight: float, temperature: float, epochs: int) -> None:
        assert (weight, temperature) == (0.25, 2.0)
        seen.append((model.state_dict(), epochs))

    monkeypatch.setattr(run_training, "Teacher", noted)
    training = {**TRAINING, "retrain_epochs": 5, "budget": "total", "distill": 0.25}
    settings = {
        "levels": [0.5, 0.75],
        "training": {**training, "temperature": 2.0},
        "methods": {"magnitude": {}},
    }
    study = Study(tmp_path, data, settings)
    # One cut of 4 epochs, two of 2 each, and the dense net: the last epoch is nobody's.
    assert [epochs for _, epochs in seen] == [3, 3, 1, 3]
    dense, _ = study.saved("dense")
    base, _ = load_checkpoint(study.folder / checkpoint_name(study.runs[0].digest))
    assert dense.keys() == base.keys()
    for state, _ in seen:
        assert all(torch.equal(state[name], value) for name, value in base.items())


def test_distillation_makes_other_points_of_the_same_base_net() -> None:
    plain = {**SETTINGS, "methods": {"magnitude": {}}}
    named = [
        [run.digest for run in plan(StudySpec.model_validate(one), {"data": "d"})]
        for one in (
            plain,
            {**plain, "training": {**TRAINING, "distill": 0.5}},
            {**plain, "training": {**TRAINING, "distill": 0.5, "temperature": 1.0}},
        )
    ]
    assert len({one[0] for one in named}) == 1
    assert len({one[1] for one in named}) == 3


def test_weights_that_are_set_back_train_on_and_what_is_gone_stays_zero(
    tmp_path: Path, data: ImageData
) -> None:
    training = {**TRAINING, "base_epochs": 2, "retrain_epochs": 1, "retrain": "rewind-weights"}
    methods = {"magnitude": {}, "l1-filter": {"levels": [0.5]}}
    study = Study(tmp_path, data, {**SETTINGS, "training": training, "methods": methods})
    early = load_early(tmp_path / checkpoint_name(study.runs[0].digest))
    for method, step in (("magnitude", 0), ("magnitude", 1), ("l1-filter", 0)):
        state, masks = study.saved(method, step)
        assert masks.zeros
        for name, mask in masks.items():
            assert not state[name][~mask].view(torch.int32).any()
            assert bool((state[name] != early[name])[mask].any())
    # A point's own file holds its net, and no more.
    assert study.saved("magnitude")[0].keys() == early.keys()
    with pytest.raises(StoreError, match="without the weights of an earlier epoch"):
        load_early(tmp_path / checkpoint_name(study.find("magnitude").digest))
