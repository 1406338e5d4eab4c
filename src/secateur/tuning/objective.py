"""The objective of a search: what is trained in a trial, and by which number trials compare."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from statistics import mean

from secateur.errors import SpecError, UsageError
from secateur.point import Point
from secateur.registry import METHODS
from secateur.spec import StudySpec, check_study
from secateur.study.aggregate import replicates
from secateur.study.frontier import hypervolumes
from secateur.study.study import CONTROLS
from secateur.tuning_settings import TuneSpec

DENSE = "dense"


def searched_study(study: StudySpec, tune: TuneSpec) -> StudySpec:
    """The study that a trial trains, with the study's own settings.

    Of a base net it is the dense net alone; of a recipe the methods that are named, or all that
    are no controls.

    Raises:
        UnknownNameError: A method that is named is none.
        SpecError: The study has no method to retrain.
    """
    values = study.model_dump(mode="json", exclude_unset=True)
    for word in ("tune", "tuned_epochs"):
        values.pop(word, None)
    if tune.what == "base":
        training = {**values.get("training", {}), "budget": "level", "retrain_epochs": 0}
        training |= {"retrain": "fine-tune", "distill": 0.0, "repair": []}
        return check_study({**values, "methods": {DENSE: {}}, "training": training}, "the study")
    own = values["methods"]
    wanted = tune.methods or tuple(name for name in own if name not in CONTROLS)
    if not wanted:
        raise SpecError(
            "preparing a search",
            "the methods",
            given="none but controls",
            expected="one that prunes, whose retraining is searched",
            remedy="Name it in the study, or in `methods` of [tune].",
        )
    values["methods"] = {METHODS.check(name): own.get(name, {}) for name in wanted}
    if tune.levels:
        values["levels"] = tune.model_dump(mode="json")["levels"]
        for method in values["methods"].values():
            method.pop("levels", None)
    return check_study(values, "the study")


def check_objective(tune: TuneSpec, higher: bool, baseline: bool) -> None:
    """Refuse a hypervolume that cannot be measured.

    Args:
        tune: What is searched.
        higher: Whether more of the score that chooses is better.
        baseline: Whether it is known what a guess scores.

    Raises:
        UsageError: It has no worst value.
    """
    if tune.objective == "hypervolume" and not higher and not baseline:
        raise UsageError(
            "preparing a search",
            "the objective",
            given="a hypervolume of an error without a worst value",
            expected="a study with a `baseline`, or objective = 'quality'",
            remedy="Say in the study file what a guess scores.",
        )


def value_of(points: Sequence[Point], tune: TuneSpec) -> float:
    """The number by which trials compare, of the points of one; test scores have no part in it.

    Args:
        points: Every point of the trial's study, all seeds.
        tune: What is searched.

    Returns:
        The mean over seeds of the dense net's score that chooses; of a recipe the mean over
        methods and levels too, or the mean of the methods' hypervolumes.
    """
    if tune.what == "base":
        return float(_mean(points))
    cut = [point for point in points if point.method not in CONTROLS]
    if tune.objective == "quality":
        return float(mean(_mean(one.points) for one in replicates(cut)))
    found = hypervolumes(cut)
    return float(mean(Fraction(volume) for volume in found.values()))


def _mean(points: Sequence[Point]) -> Fraction:
    return mean(point.val.exact for point in points)
