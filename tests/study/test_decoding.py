"""Scores and metrics of somebody else's store; tests/cli/test_hostile.py has the rest."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from secateur.errors import StoreError
from secateur.point import Measured, Point, Score
from secateur.study.decoding import decode_point

from .frontier_points import rmse

GOOD = replace(rmse(50, 12.5), metrics=(Measured("energy", "energy", "mJ", False, 3.0),))


def decoded(point: dict[str, Any]) -> Point:
    return decode_point(GOOD.digest, json.dumps({"point": point}), None, "weights")


def test_scores_are_read_back() -> None:
    assert decoded(GOOD.to_dict()).scores == GOOD.scores
    assert decoded(GOOD.to_dict()).metrics == GOOD.metrics


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "../x"},
        {"metric": "a b"},
        {"value": float("inf")},
        {"value": 0.5, "unit": "share", "part": 2, "total": 3},
        {"value": 1.5, "unit": "share", "part": 3, "total": 2},
        {"value": 0.5, "part": 1},
        {"split": "train"},
        {"label": "x" * 81},
        {"unit": "x" * 81},
    ],
)
def test_a_score_that_is_none(wrong: dict[str, Any]) -> None:
    point = GOOD.to_dict()
    point["scores"] = [{**asdict(GOOD.scores[0]), **wrong}, asdict(GOOD.scores[1])]
    with pytest.raises(StoreError, match=r"score|scores"):
        decoded(point)


def test_a_score_is_on_each_split_and_has_a_name_of_its_own() -> None:
    val, test = GOOD.scores
    for scores in [(val,), (val, val, test)]:
        with pytest.raises(StoreError, match="score"):
            decoded({**GOOD.to_dict(), "scores": [asdict(one) for one in scores]})


@pytest.mark.parametrize("wrong", [{"value": float("inf")}, {"name": ""}, {"unit": "x" * 81}])
def test_a_metric_that_is_none(wrong: dict[str, Any]) -> None:
    point = {**GOOD.to_dict(), "metrics": [{**asdict(GOOD.metrics[0]), **wrong}]}
    with pytest.raises(StoreError, match="with a metric that is none"):
        decoded(point)


def test_words_of_a_score_move_no_cursor() -> None:
    score = asdict(Score("rmse", "val", 1.0, False, label="a\x1b[2Jb", unit="\n"))
    point = {**GOOD.to_dict(), "scores": [score, asdict(GOOD.scores[1])]}
    assert decoded(point).val.label.isprintable()
    assert decoded(point).val.unit.isprintable()
