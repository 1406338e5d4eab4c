from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from secateur.point import Point, Score, accuracy
from secateur.study.ranking import GROUPS, Ranking, group_of, places, rankings

from .frontier_points import point as made

CONTROLS = ("random-weight", "random-filter")


def point(method: str, level: float, seed: int, correct: int) -> Point:
    scores = (accuracy("val", correct, 100), accuracy("test", 1, 100))
    digest = f"{method}-{level}-{seed}"
    return replace(
        made(0, 0, method), level=(level,), seed=seed, scores=scores, digest=digest, metrics=()
    )


def study(
    values: dict[str, list[list[int]]], levels: tuple[float, ...] = (0.5, 0.9)
) -> list[Point]:
    """By method: of each seed what it has correct at each level."""
    return [
        point(method, level, seed, correct)
        for method, seeds in values.items()
        for seed, own in enumerate(seeds)
        for level, correct in zip(levels, own, strict=True)
    ]


GOLDEN = {
    "magnitude": [[90, 80], [90, 70]],  # (1.5 + 1) / 2 in the first seed, (1 + 2) / 2 in the second
    "lamp": [[90, 70], [80, 80]],  # (1.5 + 2) / 2, (2.5 + 1) / 2
    "random-weight": [[50, 10], [80, 20]],  # 3, (2.5 + 3) / 2
}


def test_a_table_that_a_person_can_check() -> None:
    (found,) = rankings(study(GOLDEN), CONTROLS)
    assert found.group == "weights"
    assert (found.levels, found.seeds, found.left_out) == (("0.5", "0.9"), 2, ())
    assert [one.method for one in found.ranks] == ["magnitude", "lamp", "random-weight"]
    assert [one.rank.mean for one in found.ranks] == [1.375, 1.75, 2.875]
    assert [one.control for one in found.ranks] == [False, False, True]
    assert found.ranks[1].rank.band == 0


def test_the_order_of_the_points_changes_nothing() -> None:
    points = study(GOLDEN)
    assert rankings(points[::-1], CONTROLS) == rankings(points, CONTROLS)


def test_like_is_ranked_with_like() -> None:
    both = study({"magnitude": [[9, 8]], "lamp": [[8, 8]], "l1-filter": [[7, 6]], "fpgm": [[6, 7]]})
    found = rankings([*both, *study({"combined": [[1, 1]], "dense": [[1, 1]], "own:X": [[1, 1]]})])
    assert [one.group for one in found] == ["weights", "channels"]
    assert {one.method for ranking in found for one in ranking.ranks} == {
        "magnitude", "lamp", "l1-filter", "fpgm",
    }  # fmt: skip
    assert set(GROUPS) == {group_of(name) for name in ("magnitude", "fpgm", "combined")}
    assert group_of("own:X") == group_of("scratch") == ""


def test_who_lacks_a_level_or_a_seed_has_no_place_and_is_named() -> None:
    points = study({"magnitude": [[9, 8], [9, 8]], "lamp": [[8, 8], [8, 8]], "wanda": [[7, 7]]})
    points += study({"fisher": [[9, 9, 9]] * 2}, levels=(0.5, 0.9, 0.95))
    points += study({"obd": [[9], [9]]}, levels=(0.95,))
    (found,) = rankings(points)
    assert found.levels == ("0.5", "0.9")  # 0.95 is of two in five
    assert {one.method for one in found.ranks} == {"magnitude", "lamp", "fisher"}
    assert set(found.left_out) == {"wanda", "obd"}


def test_less_is_better_where_the_metric_says_so() -> None:
    def error(method: str, value: float) -> Point:
        score = Score("error", "val", value, False, "error", "")
        return replace(point(method, 0.5, 0, 0), scores=(score, replace(score, split="test")))

    (found,) = rankings([error("magnitude", 2.0), error("lamp", 1.0)])
    assert [one.method for one in found.ranks] == ["lamp", "magnitude"]


def test_one_method_and_no_point_are_no_ranking() -> None:
    assert rankings([]) == ()
    assert rankings(study({"magnitude": [[1, 1]]})) == ()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_places_sum_to_what_they_would_without_ties(count: int) -> None:
    for values in ([0] * count, list(range(count)), [0, 0, 1, 1, 1][:count]):
        found = places({str(n): Fraction(value) for n, value in enumerate(values)})
        assert sum(found.values()) == count * (count + 1) // 2


def test_json_values() -> None:
    (found,) = rankings(study(GOLDEN), CONTROLS)
    assert isinstance(found, Ranking)
    first = found.to_dict()["ranks"][0]
    assert first["method"] == "magnitude"
    assert first["rank"] == 1.375
