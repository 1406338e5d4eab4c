"""Bounds of the command line; what is a distance is no floor."""

from typing import Any

import pytest

from secateur.cli.picking import picked
from secateur.errors import UsageError
from secateur.point import Point

NOTHING: dict[str, Any] = dict.fromkeys(
    ("min_accuracy", "min_quality", "within", "at_least", "at_most")
)


@pytest.fixture
def points(make_point: Any) -> list[Point]:
    levels = (("dense", (), 90), ("magnitude", (0.5,), 88), ("l1-filter", (0.9,), 40))
    return [make_point(*one)[1] for one in levels]


def test_nothing_asked_for_picks_nothing(points: list[Point]) -> None:
    assert picked(points, **NOTHING, x="sparsity") is None


@pytest.mark.parametrize(
    ("asked", "method"),
    [
        ({"min_quality": 0.85}, "magnitude"),
        ({"within": 0.02}, "magnitude"),
        ({"at_least": ["val_accuracy=.3"]}, "l1-filter"),
        ({"at_most": ["nonzero=.1k"]}, "magnitude"),
    ],
)
def test_bounds_are_read(points: list[Point], asked: dict[str, Any], method: str) -> None:
    found = picked(points, **{**NOTHING, **asked}, x="sparsity")
    assert found is not None
    assert (found.met, found.replicate.method) == (True, method)


def test_a_distance_that_a_guess_is_within_is_told(
    points: list[Point], capsys: pytest.CaptureFixture[str]
) -> None:
    picked(points, **{**NOTHING, "within": 0.9}, x="sparsity")
    assert "--within 0.9 is a distance" in capsys.readouterr().err
    picked(points, **{**NOTHING, "within": 0.1}, x="sparsity")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "asked",
    [
        {"within": 0.1, "min_quality": 0.5},
        {"min_quality": 90},
        {"within": -0.1},
        {"at_most": ["bytes=200kB"]},
        {"at_most": ["bytes"]},
        {"at_most": ["bytes=1e999"]},
        {"at_least": ["test_accuracy=0.5"]},
    ],
)
def test_what_is_no_bound_is_refused(points: list[Point], asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        picked(points, **{**NOTHING, **asked}, x="sparsity")
