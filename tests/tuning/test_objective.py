"""What is trained in a trial, and by which number trials compare."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from secateur.errors import SpecError, UnknownNameError, UsageError
from secateur.point import Point, Share, accuracy
from secateur.spec import check_study
from secateur.study.plan import Run, plan
from secateur.tuning.objective import check_objective, searched_study, value_of
from secateur.tuning_settings import TuneSpec

STUDY = check_study(
    {
        "training": {"base_epochs": 3, "retrain_epochs": 2, "budget": "total", "distill": 0.5},
        "methods": {"magnitude": {"levels": [0.5]}, "l1-filter": {}, "dense": {}},
        "seeds": 2,
        "tune": {"trials": 3},
    },
    "a test",
)
RECIPE = TuneSpec(what="recipe")


def test_of_a_base_net_the_dense_net_alone_is_trained() -> None:
    runs = plan(searched_study(STUDY, TuneSpec()), {"data": "0"})
    assert [(run.kind, run.seed, run.epochs) for run in runs] == [("base", 0, 3), ("base", 1, 3)]


def test_it_is_the_net_that_a_sweep_with_a_budget_by_levels_starts_from() -> None:
    values = STUDY.model_dump(mode="json", exclude_unset=True)
    values["training"] |= {"budget": "level", "retrain": "rewind-rate"}
    swept = plan(check_study(values, "a test"), {"data": "0"})
    tried = plan(searched_study(STUDY, TuneSpec()), {"data": "0"})
    assert {run.digest for run in tried} <= {run.digest for run in swept}


def test_of_a_recipe_the_methods_are_trained_and_not_the_controls() -> None:
    study = searched_study(STUDY, RECIPE)
    assert set(study.methods) == {"magnitude", "l1-filter"}
    assert study.levels_of("magnitude") == ((0.5,),)
    named = TuneSpec(what="recipe", methods=("l1-filter", "wanda"), levels=((0.9,),))
    study = searched_study(STUDY, named)
    assert set(study.methods) == {"l1-filter", "wanda"}
    assert study.levels_of("wanda") == ((0.9,),)


def test_without_a_method_there_is_no_recipe() -> None:
    only = STUDY.model_copy(update={"methods": {"dense": STUDY.methods["dense"]}})
    with pytest.raises(SpecError, match="none but controls"):
        searched_study(only, RECIPE)
    with pytest.raises(UnknownNameError, match="magnitude"):
        searched_study(STUDY, TuneSpec(what="recipe", methods=("magnitud",)))


def test_a_hypervolume_needs_a_worst_value() -> None:
    asked = TuneSpec(what="recipe", objective="hypervolume")
    check_objective(asked, higher=True, baseline=False)
    check_objective(asked, higher=False, baseline=True)
    check_objective(RECIPE, higher=False, baseline=False)
    with pytest.raises(UsageError, match="baseline"):
        check_objective(asked, higher=False, baseline=False)


@pytest.fixture
def points(make_point: Callable[..., tuple[Run, Point]]) -> tuple[Point, ...]:
    def made(method: str, seed: int, right: int, zeros: int, test: int) -> Point:
        _, one = make_point(method, (zeros / 10,) if zeros else (), right)
        scores = (accuracy("val", right, 10), accuracy("test", test, 10))
        return replace(one, seed=seed, scores=scores, sparsity=Share(zeros, 10))

    return (
        made("dense", 0, 9, 0, 1),
        made("dense", 1, 9, 0, 1),
        made("magnitude", 0, 8, 5, 2),
        made("magnitude", 1, 6, 5, 2),
    )


def test_the_value_is_a_mean_of_validation_scores(points: tuple[Point, ...]) -> None:
    assert value_of(points[:2], TuneSpec()) == 0.9
    assert value_of(points, RECIPE) == pytest.approx(0.7)
    asked = TuneSpec(what="recipe", objective="hypervolume")
    assert value_of(points, asked) == pytest.approx(0.5 * 0.7)


def test_test_scores_have_no_part_in_it(points: tuple[Point, ...]) -> None:
    others = [replace(one, scores=(one.val, accuracy("test", 10, 10))) for one in points]
    for tune in (TuneSpec(), RECIPE, TuneSpec(what="recipe", objective="hypervolume")):
        wanted: Any = points if tune.what == "recipe" else points[:2]
        assert value_of(others[: len(wanted)], tune) == value_of(wanted, tune)
