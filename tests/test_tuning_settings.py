"""What `[tune]` may say."""

from typing import Any

import pytest

from secateur.errors import SpecError, UnknownNameError
from secateur.spec import StudySpec, check_study

STUDY: dict[str, Any] = {"methods": {"magnitude": {}, "dense": {}}}


def read(**tune: Any) -> StudySpec:
    return check_study({**STUDY, "tune": tune}, "a test")


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ([], "at least one value"),
        ([1, 1], "values that differ"),
        ([{"a": 1}], "words, numbers"),
        (0.1, "a list of values, or a table"),
        ("adam", "a list of values, or a table"),
        ({}, "both `low` and `high`"),
        ({"low": 1}, "both `low` and `high`"),
        ({"low": 2, "high": 1}, "`low` below `high`"),
        ({"low": 1, "high": 1}, "`low` below `high`"),
        ({"low": 0, "high": 1, "log": True}, "`low` above 0"),
        ({"low": -1.0, "high": 1, "log": True}, "`low` above 0"),
        ({"low": 1, "high": 2, "log": True, "step": 1}, "no `step` beside"),
        ({"low": 1, "high": 2, "step": 0}, "a `step` above 0"),
        ({"low": 1, "high": 2, "step": 3}, "at most `high - low`"),
        ({"low": 1, "high": float("inf")}, "finite number"),
        ({"low": "1", "high": 2}, "a finite number"),
        ({"low": True, "high": 2}, "a finite number"),
        ({"low": 1, "high": 2, "choices": [1]}, "not both"),
    ],
)
def test_what_cannot_be_searched_is_refused(search: object, expected: str) -> None:
    with pytest.raises(SpecError, match=expected) as caught:
        read(space={"learning_rate": search})
    assert caught.value.subject.startswith("tune.space.learning_rate")


@pytest.mark.parametrize(
    ("tune", "expected"),
    [
        ({"trials": 0}, "at least 1"),
        ({"trials": -1}, "at least 1"),
        ({"seed": -1}, "at least 0"),
        ({"pruner": "medin"}, "Did you mean 'median'"),
        ({"what": "all"}, "'base' or 'recipe'"),
        ({"objective": "hypervolume"}, "recipe"),
        ({"methods": ["magnitude"]}, "recipe"),
        ({"space": 3}, "a table"),
    ],
)
def test_how_it_is_searched_is_checked(tune: dict[str, Any], expected: str) -> None:
    with pytest.raises(SpecError, match=expected):
        read(**tune)


@pytest.mark.parametrize("tune", [{"trial": 3}, {"space": {"momentum": {"lo": 1, "high": 2}}}])
def test_an_unknown_word_is_named(tune: dict[str, Any]) -> None:
    with pytest.raises(UnknownNameError, match=r"(trial|lo)'.*Did you mean '(trials|low)'"):
        read(**tune)


def test_it_comes_back_as_it_was_written() -> None:
    space = {"learning_rate": {"low": 1e-4, "high": 0.1, "log": True}, "milestones": [[0.5], [0.3]]}
    spec = read(space=space, what="recipe", levels=[0.5, "0.3/0.9"], methods=["magnitude"])
    for values in (spec.model_dump(mode="json", exclude_unset=True), spec.model_dump(mode="json")):
        assert check_study(values, "again") == spec


def test_a_study_s_tuning_names_none_of_its_runs() -> None:
    from secateur.study.plan import plan

    plain = plan(check_study(STUDY, "a test"), {"data": "0"})
    tuned = check_study({**STUDY, "tune": {"trials": 3}, "tuned_epochs": 84}, "a test")
    assert plan(tuned, {"data": "0"}) == plain
