"""Schedules, and what they cannot be together with."""

from typing import Any

import pytest

from secateur.errors import SpecError
from secateur.spec import StudySpec
from secateur.study.method_settings import passes_for_cut, schedule_of
from secateur.study.plan import Run, plan

SOURCES = {"data": "d" * 64}


def study(methods: dict[str, Any], **settings: Any) -> StudySpec:
    return StudySpec.model_validate({"levels": [0.5, 0.9], "methods": methods, **settings})


def runs(methods: dict[str, Any], **settings: Any) -> list[Run]:
    found = plan(study(methods, **settings), SOURCES)
    return [run for run in found if run.method in methods]


@pytest.mark.parametrize("schedule", ["incremental", "gradual", "growing"])
def test_nothing_is_trained_between_the_cuts_of_an_untrained_net(schedule: str) -> None:
    with pytest.raises(SpecError, match=rf"methods.snip.schedule is '{schedule}'"):
        plan(study({"snip": {"schedule": schedule}}), SOURCES)


GRADUAL, DYNAMIC = {"schedule": "gradual"}, {"schedule": "dynamic"}


@pytest.mark.parametrize(
    ("methods", "settings", "said"),
    [
        ({"magnitude": {"until": 0.5}}, {}, r"magnitude.until is set, expected .*'gradual'"),
        ({"magnitude": {"cuts": 3}}, {}, r"magnitude.cuts is set, expected .*'gradual'"),
        ({"magnitude": {**GRADUAL, "ceiling": 3}}, {}, r"ceiling is set, expected .*= 'growing'"),
        ({"growing": {"choose_at": 1.0}}, {}, r"choose_at is 1, where the penalty ends at 1,"),
        ({"growing": {"cuts": 3}}, {}, r"growing.cuts is set, expected .*= 'gradual' or 'alte"),
        ({"growing": {}}, {"train": "mine:train"}, r"'growing' beside `train`, a loop of your own"),
        ({"growing": {}}, {"training": {"repair": "bias"}}, r"'growing' beside training.repair"),
        ({"dense": GRADUAL}, {}, r"dense.schedule is 'gradual' of a method that cuts nothing"),
        ({"magnitude": GRADUAL}, {"train": "mine:train"}, r"beside `train`, a loop of your own"),
        (
            {"magnitude": GRADUAL},
            {"training": {"retrain": "adaptive"}},
            r"beside training.retrain = 'adaptive'",
        ),
        (
            {"magnitude": GRADUAL},
            {"training": {"retrain": "rewind-weights"}},
            r"beside training.retrain = 'rewind-weights'",
        ),
        ({"magnitude": GRADUAL}, {"training": {"repair": "bias"}}, r"beside training.repair"),
        (
            {"magnitude": {**GRADUAL, "levels": [{"macs": 0.5}]}},
            {},
            r"schedule is 'gradual' with a target",
        ),
        ({"magnitude": {"drop": 0.5}}, {}, r"magnitude.drop is set, expected .*'dynamic'"),
        ({"magnitude": {**GRADUAL, "every": 9}}, {}, r"every is set, expected .*= 'dynamic', of"),
        ({"rigl": {"cuts": 3}}, {}, r"rigl.cuts is set, expected .*'gradual' or 'alternating'"),
        ({"set": {"schedule": "one-shot", "growth": "gradient"}}, {}, r"set.growth is set"),
        ({"l1-filter": DYNAMIC}, {}, r"schedule is 'dynamic' of a method that cuts channels"),
        ({"magnitude": {**DYNAMIC, "granularity": "2:4"}}, {}, r"'dynamic' of granularity '2:4'"),
        ({"dense": DYNAMIC}, {}, r"'dynamic' of a method that cuts nothing"),
        ({"magnitude": {**DYNAMIC, "levels": [{"macs": 0.5}]}}, {}, r"'dynamic' with a target"),
        ({"rigl": {}}, {"train": "mine:train"}, r"rigl.schedule is 'dynamic' beside `train`"),
        ({"ac-dc": {}}, {"train": "mine:train"}, r"'alternating' beside `train`, a loop of your"),
        ({"ac-dc": {}}, {"training": {"repair": "bias"}}, r"beside training.repair"),
        (
            {"scratch": {"like": "rigl"}, "dense": {}},
            {"train": "mine:train"},
            r"rigl.schedule is 'dynamic' beside `train`",
        ),
    ],
)
def test_what_changes_a_net_during_its_training_cannot_be_with(
    methods: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        plan(study(methods, **settings), SOURCES)


def test_a_gradual_method_needs_no_more_than_the_usual() -> None:
    spec = study({"magnitude": GRADUAL}, training={"retrain": "rewind-rate"})
    assert schedule_of(spec, "magnitude") == "gradual"
    assert schedule_of(spec, "l1-filter") == "one-shot"
    assert len(plan(spec, SOURCES)) == 3


def test_what_is_cut_while_it_trains_keeps_the_dense_nets_dropout() -> None:
    scaled = study({"magnitude": GRADUAL}, training={"retrain_dropout": "scaled"})
    assert len(plan(scaled, SOURCES)) == 3


def test_a_method_that_grows_may_come_to_a_target_and_any_method_may_grow() -> None:
    methods = {"growing": {"levels": [{"macs": 0.5}]}, "magnitude": {"schedule": "growing"}}
    assert len(plan(study(methods), SOURCES)) == 1 + 1 + 2


@pytest.mark.parametrize("retrain", ["adaptive", "rewind-weights"])
def test_how_cut_nets_are_retrained_is_nothing_to_nets_that_are_not(retrain: str) -> None:
    methods: dict[str, Any] = {"rigl": {}, "ac-dc": {}}
    recipes = {"retrain": retrain, "retrain_dropout": "scaled"}
    plain, other = runs(methods), runs(methods, training=recipes)
    assert [(run.method, run.level, run.epochs) for run in plain] == [
        (run.method, run.level, run.epochs) for run in other
    ]
    assert len(runs({"magnitude": DYNAMIC}, training={"retrain": retrain})) == 2


@pytest.mark.parametrize("name", ["set", "rigl", "ac-dc", "static-sparse"])
def test_sparse_training_takes_the_whole_budget_and_waits_for_no_run(name: str) -> None:
    training = {"base_epochs": 7, "retrain_epochs": 3}
    for run in runs({name: {}}, training=training):
        assert (run.epochs, sum(run.spent.values()), dict(run.parents)) == (10, 10, {})


OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "drop": ("rigl", {"drop": 0.5}),
    "every": ("rigl", {"every": 10}),
    "until": ("set", {"until": 0.5}),
    "growth": ("set", {"growth": "gradient"}),
    "schedule": ("rigl", {"schedule": "one-shot"}),
    "cuts": ("ac-dc", {"cuts": 3}),
    "snip": ("snip", DYNAMIC),
}


@pytest.mark.parametrize("case", OTHERS)
def test_each_setting_of_a_schedule_makes_other_runs(case: str) -> None:
    name, changes = OTHERS[case]
    plain, other = runs({name: {}}), runs({name: changes})
    assert not {run.digest for run in plain} & {run.digest for run in other}


def test_a_setting_that_is_a_methods_own_names_no_other_run() -> None:
    plain, said = runs({"set": {}}), runs({"set": {"growth": "random"}})
    assert [run.digest for run in plain] == [run.digest for run in said]


def test_statistics_are_gathered_once_where_cuts_are_made_during_training() -> None:
    spec = study({"snip": DYNAMIC, "wanda": {"schedule": "alternating"}, "grasp": {}})
    assert [passes_for_cut(spec, name) for name in ("snip", "wanda", "grasp")] == [1, 1, 2]
