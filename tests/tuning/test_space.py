"""Which settings are searched, and among what."""

from typing import Any

import pytest

from secateur.errors import SpecError, UnknownNameError
from secateur.spec import StudySpec, check_study
from secateur.tuning.space import Space
from secateur.tuning_settings import SearchSpec, TuneSpec

STUDY: dict[str, Any] = {
    "version": 2,
    "model": {"name": "lenet-300-100", "options": {}},
    "training": {"base_epochs": 3, "retrain_epochs": 2},
    "methods": {"magnitude": {"ranking": "layer"}, "dense": {}},
}
RANGE = {"low": 1, "high": 4}


def space_of(what: str = "base", **space: Any) -> Space:
    spec: StudySpec = check_study({**STUDY, "tune": {"what": what, "space": space}}, "a test")
    return Space.of(spec, spec.tune or TuneSpec())


@pytest.mark.parametrize(
    ("what", "name", "search", "error"),
    [
        ("base", "learning_rte", RANGE, "Did you mean 'learning_rate'"),
        ("base", "retrain_epochs", RANGE, "what = 'recipe'"),
        ("base", "repair", [["bias"]], "what = 'recipe'"),
        ("base", "methods.magnitude.ranking", ["layer"], "base net's training"),
        ("base", "seeds", RANGE, "one of"),
        ("base", "data.options", RANGE, "one of"),
        ("recipe", "methods.lamp.ranking", ["layer"], "magnitude"),
        ("recipe", "methods.magnitude.levels", [0.5], "one of"),
        ("recipe", "methods.magnitude.rankin", ["layer"], "Did you mean 'ranking'"),
        ("base", "optimizer", RANGE, "a list of what optimizer takes"),
        ("base", "milestones", RANGE, "a list of what milestones takes"),
        ("recipe", "sparse_retraining", RANGE, "a list of"),
        ("base", "batch_size", {"low": 0.5, "high": 4}, "whole numbers"),
        ("base", "batch_size", {"low": 0, "high": 4}, "at least 1"),
        ("base", "momentum", {"low": 0.5, "high": 1}, "less than 1"),
        ("base", "optimizer", ["adam", "lion"], "'adam', 'adamw' or 'sgd'"),
        ("base", "precision", ["32", 32], "32"),
        ("base", "milestones", [[0.5], [2.0]], "less than 1"),
    ],
)
def test_a_name_or_a_value_that_is_none_is_told(
    what: str, name: str, search: Any, error: str
) -> None:
    with pytest.raises((SpecError, UnknownNameError), match=error):
        space_of(what, **{name: search})


def test_one_setting_under_two_names_is_refused() -> None:
    with pytest.raises(SpecError, match=r"the same as 'momentum'"):
        space_of(momentum=[0.5], **{"training.momentum": [0.9]})


def test_values_reach_the_place_that_they_are_for() -> None:
    space = space_of(
        "recipe",
        batch_size=[16, 64],
        repair=[[], ["bias"]],
        **{"methods.magnitude.ranking": ["layer", "global"], "model.dropout": [0.0, 0.5]},
    )
    found = {
        "batch_size": "64",
        "repair": '["bias"]',
        "methods.magnitude.ranking": "global",
        "model.dropout": "0.5",
    }
    study = space.study_with(space.chosen(found))
    assert (study.training.batch_size, study.training.repair) == (64, ("bias",))
    assert study.methods["magnitude"].ranking == "global"
    assert study.model.options == {"dropout": 0.5}
    assert study.tune is None
    assert study.training.base_epochs == 3


@pytest.mark.parametrize("what", ["base", "recipe"])
def test_the_usual_space_holds_the_study_s_own_settings(what: str) -> None:
    space = space_of(what)
    own = space.own()
    if what == "base":
        assert own is not None
        assert space.study_with(space.chosen(own)).training == space.study.training
        assert own["learning_rate"] == 1e-3


def test_own_settings_outside_of_the_space_are_not_tried() -> None:
    assert space_of(batch_size=[16, 64]).own() is None
    assert space_of(learning_rate={"low": 0.1, "high": 0.2}).own() is None
    assert space_of(batch_size={"low": 2, "high": 62, "step": 20}).own() is None
    assert space_of(batch_size={"low": 12, "high": 52, "step": 20}).own() == {"batch_size": 32}
    assert space_of(milestones=[[0.5, 0.75]]).own() == {"milestones": "[0.5, 0.75]"}
    assert space_of("recipe", sparse_retraining=[True, False]).own() == {
        "sparse_retraining": "false"
    }


def test_numbers_are_whole_where_the_setting_is() -> None:
    optuna = pytest.importorskip("optuna")
    kinds = optuna.distributions
    made = space_of(
        batch_size={"low": 16, "high": 64, "step": 16},
        momentum={"low": 0, "high": 0.9},
        optimizer=["adam", "sgd"],
    ).distributions()
    assert made == {
        "batch_size": kinds.IntDistribution(16, 64, step=16),
        "momentum": kinds.FloatDistribution(0.0, 0.9),
        "optimizer": kinds.CategoricalDistribution(["adam", "sgd"]),
    }


def test_a_list_may_hold_whatever_a_setting_takes() -> None:
    assert SearchSpec(choices=(True, 1, "1.0", [1])).choices == (True, 1, "1.0", [1])
