from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from secateur.errors import MaskError, ModelError, UsageError
from secateur.spec import StudySpec
from secateur.study.cut_check import check_cuts, check_study_cuts

EXAMPLE = torch.zeros(2, 1, 6, 6)


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 3)
    )


def check(name: str = "magnitude", model: nn.Module | None = None, **settings: Any) -> list[str]:
    study = StudySpec.model_validate({"methods": {name: {}}, **settings})
    return check_cuts(study, name, model or net(), EXAMPLE)


@pytest.mark.parametrize("name", ["magnitude", "wanda", "l1-filter"])
def test_an_allocation_is_tried_though_its_data_are_not_there_yet(name: str) -> None:
    check(methods={name: {"allocation": "owl"}}, name=name, levels=[0.25])


def test_a_level_that_an_allocation_cannot_leave_is_refused_before_it_trains() -> None:
    with pytest.raises(MaskError, match=r"'uniform\+' is asked for a sparsity of 0\.9"):
        check(methods={"magnitude": {"allocation": "uniform+"}}, levels=[0.2, 0.5, 0.9])
    with pytest.raises(MaskError, match=r"'erk' beside the granularity '2:4'"):
        check(methods={"magnitude": {"allocation": "erk", "granularity": "2:4"}}, levels=[0.5])


def test_a_guard_that_only_the_version_names_is_no_news_and_one_of_the_users_is() -> None:
    of_version = check("l1-filter", version=2, levels=[0.5])
    of_user = check("l1-filter", max_sparsity={":last": 0.8}, protected=0.1, levels=[0.5])
    assert [one for one in of_user if "':last'" in one]
    assert of_version == [one for one in of_user if "':last'" not in one]


@pytest.mark.parametrize(
    ("settings", "near"),
    [
        ({"exclude": "conv2d"}, "Conv2d"),
        ({"only": ["Linear", "Convd"]}, "Conv2d"),
        ({"prunable": "Bias"}, "bias"),
        ({"max_sparsity": {"Liner": 0.9}}, "Linear"),
        ({"levels": [0.5, {"0.weihgt": 0.5}]}, "0.weight"),
        ({"methods": {"magnitude": {"levels": [{"4.weihgt": 0.5}]}}}, "4.weight"),
        ({"methods": {"magnitude": {"exclude": ["4.weihgt"]}}}, "4.weight"),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused_with_the_nearest(
    settings: dict[str, Any], near: str
) -> None:
    with pytest.raises(MaskError, match=f"Did you mean.*{near}"):
        check(**settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("magnitude", {"exclude": ["Conv2d", "Linear"]}),
        ("l1-filter", {"only": "Linear"}),
        ("l1-filter", {"levels": [0.5, {"Linear": 0.5}]}),
        ("combined", {"levels": [[{"Linear": 0.5}, {"Conv2d": 0.5}]]}),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(MaskError, match="leaves nothing"):
        check(name, **settings)


def test_what_another_method_prunes_may_be_named() -> None:
    both = {"levels": [{"Conv2d": 0.5, "Linear": 0.9}], "max_sparsity": {"Linear": 0.9, "*": 0.8}}
    for name in ("magnitude", "l1-filter", "combined", "dense"):
        check(name, **both)


def test_a_method_without_anything_to_prune_is_refused_as_ever() -> None:
    with pytest.raises(ModelError):
        check("combined", nn.Sequential(nn.Flatten(), nn.Linear(36, 3)))


def test_a_copied_method_is_checked_too() -> None:
    with pytest.raises(UsageError, match="leaves nothing"):
        check("scratch", only="Linear")


def test_what_a_cut_would_leave_out_is_said_once_for_all_methods() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 20))
    methods: dict[str, Any] = {"l1-filter": {}, "random-filter": {}, "magnitude": {}, "dense": {}}
    values = {"methods": {**methods, "scratch": {}}, "levels": [0.1]}
    scope, nothing = check_study_cuts(StudySpec.model_validate(values), model, EXAMPLE)
    assert scope.startswith("l1-filter, random-filter, scratch: 18 of 658 prunable weights are in")
    assert nothing.startswith(
        "l1-filter, random-filter, scratch: nothing was removed of 18 weights"
    )


def test_a_study_that_cuts_what_it_asks_for_says_nothing() -> None:
    assert check("l1-filter", levels=[0.25, 0.5]) == []
    assert check("combined", exclude="4.bias") == []
    assert check("slimming", levels=[0.5]) == []


def test_patterns_of_any_level_that_are_none_of_the_methods_are_named() -> None:
    (said,) = check("l1-filter", levels=[0.5, {"Conv2d": 0.5, "Linear": 0.9}])
    assert said == "no weight that the method prunes is matched by 'Linear'"


def test_a_pattern_of_the_studys_is_refused_though_the_methods_have_their_own() -> None:
    values = {"methods": {"magnitude": {"exclude": []}, "dense": {}}, "exclude": ["conv9"]}
    with pytest.raises(MaskError, match="conv9"):
        list(check_study_cuts(StudySpec.model_validate(values), net(), EXAMPLE))


def test_tables_behind_other_levels_of_an_incremental_method_are_noted() -> None:
    levels = [0.5, {"Linear": 0.9}]
    (said,) = check(levels=levels)
    assert said.startswith("each level starts from the one before")
    assert check(methods={"magnitude": {"schedule": "one-shot"}}, levels=levels) == []
    assert check(levels=levels[1:]) == []


@pytest.mark.parametrize("ranking", ["global", "layer"])
def test_a_ranking_that_a_method_cannot_have_is_refused_before_it_trains(ranking: str) -> None:
    if ranking == "layer":
        assert check("sparsegpt", methods={"sparsegpt": {"ranking": ranking}}) == []
        return
    with pytest.raises(MaskError, match="the ranking is 'global' with the criterion 'sparsegpt'"):
        check("sparsegpt", methods={"sparsegpt": {"ranking": ranking}})


def test_a_layer_that_is_too_narrow_for_a_pattern_is_said() -> None:
    said = check(methods={"magnitude": {"granularity": "2:4"}})
    assert said == [
        "96 of 228 weights were removed and not 114, as a sparsity of 0.5 asks for: too few "
        "inputs, or max_sparsity, hold back 0.weight"
    ]
    assert check(methods={"magnitude": {"granularity": "2:4"}}, exclude=["0"]) == []


def test_kernels_of_what_has_none_are_refused_before_anything_trains() -> None:
    with pytest.raises(MaskError, match="what is no convolution has no kernels"):
        check("combined", methods={"combined": {"granularity": "kernel"}})
