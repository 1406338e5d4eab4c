"""Names of points: every way to write one, and lists of which each entry is accepted."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from secateur.errors import UsageError
from secateur.foundation.level import Levels, parse_level
from secateur.point import Point
from secateur.study.plan import Run
from secateur.study.point_names import chosen_point, matching, names_of, point_name

Make = Callable[..., tuple[Run, Point]]


@pytest.fixture
def points(make_point: Make) -> list[Point]:
    def made(method: str, level: Levels, seed: int, digest: str) -> Point:
        point = make_point(method, (0.5,) if level else (), 90)[1]
        return replace(point, level=level, seed=seed, digest=digest.ljust(64, "0"))

    return [
        made("dense", (), 0, "aaaa1"),
        made("dense", (), 0, "aaaa2"),
        made("magnitude", (0.9,), 0, "bbbb1"),
        made("magnitude", (0.95,), 0, "bbbb2"),
        made("magnitude", (0.95,), 1, "bbbb3"),
        made("combined", parse_level("0.3/0.9"), 0, "cccc1"),
        made("mine:redundant", (0.5,), 0, "dddd1"),
        made("l1-filter", parse_level("conv*=0.5;fc=0.9"), 0, "eeee1"),
        made("l1-filter", parse_level("bytes=200k"), 0, "eeee2"),
    ]


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("magnitude:0.9:0", 2),
        ("magnitude:.9:0", 2),
        ("magnitude:0.90", 2),
        ("magnitude:0.9", 2),
        ("magnitude:9e-1:0", 2),
        ("magnitude:0.95:1", 4),
        ("magnitude:.95:1:bbbb", 4),
        ("combined", 5),
        ("combined:.3/.9", 5),
        ("mine:redundant", 6),
        ("mine:redundant:.5:0", 6),
        ("l1-filter:conv*=0.5;fc=.9", 7),
        ("l1-filter:bytes=200000", 8),
        ("l1-filter:bytes=200k:0", 8),
        ("dense:-:0:aaaa2", 1),
        ("bbbb2", 3),
    ],
)
def test_a_point_is_found_however_it_is_written(
    points: list[Point], wanted: str, place: int
) -> None:
    assert chosen_point(points, wanted, "run") == points[place]


def test_every_name_is_taken_for_its_own_point(points: list[Point]) -> None:
    names = names_of(points)
    assert len(set(names)) == len(points)
    assert [chosen_point(points, name, "run") for name in names] == points
    assert names[2] == point_name(points[2])  # no digest where none is needed


def test_digests_that_begin_alike_are_told_apart(points: list[Point]) -> None:
    twins = [replace(points[0], digest="a" * 20 + end) for end in "bc"]
    assert [chosen_point(twins, name, "run") for name in names_of(twins)] == twins


@pytest.mark.parametrize(
    ("wanted", "given", "fits"),
    [
        ("dense", "2 points", ["dense:-:0:aaaa1000", "dense:-:0:aaaa2000"]),
        ("magnitude:0.95", "2 points", ["magnitude:0.95:0", "magnitude:0.95:1"]),
        (
            "magnitude:0.5:0",
            "none of 9 points",
            ["magnitude:0.9:0", "magnitude:0.95:0", "magnitude:0.95:1"],
        ),
        ("magnitud:0.9", "none of 9", ["magnitude:0.9:0", "magnitude:0.95:0", "magnitude:0.95:1"]),
        ("combined:0.3/0.9:7", "none of 9 points", ["combined:0.3/0.9:0"]),
    ],
)
def test_what_fits_is_listed_as_it_is_accepted(
    points: list[Point], wanted: str, given: str, fits: list[str]
) -> None:
    with pytest.raises(UsageError) as refused:
        chosen_point(points, wanted, "run")
    assert given in refused.value.given
    listed = re.sub("^one of ", "", refused.value.expected).split(", ")
    assert listed == fits
    for name in listed:
        chosen_point(points, name, "run")


@pytest.mark.parametrize("wanted", ["", "zzzzzzzz", "abc", ":", "magnitude:0.9:0:bbbb1:x", "a:b:c"])
def test_a_word_that_means_none(points: list[Point], wanted: str) -> None:
    assert matching(points, wanted) == []
    with pytest.raises(UsageError, match=r"expected one of .*:0"):
        chosen_point(points, wanted, "run")


def test_a_point_of_an_earlier_plan_is_meant_where_none_of_the_present_one_is(
    points: list[Point],
) -> None:
    old = replace(points[2], digest="f" * 64)
    assert chosen_point([*points, old], "magnitude:0.9:0", "run", others=1) == points[2]
    assert chosen_point([*points, old], "ffffffff", "run", others=1) == old


def test_a_study_without_a_point_says_so() -> None:
    with pytest.raises(UsageError, match="expected a finished point"):
        chosen_point([], "magnitude", "run")
