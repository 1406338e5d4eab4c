from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secateur.errors import MaskError
from secateur.point import Score, Share
from secateur.pruning.sensitivity import LayerCut, Sensitivity, checked_layer_levels

LEVELS = (0.25, 0.5, 0.75)


def accuracy(right: int) -> Score:
    return Score("accuracy", "val", right / 10, True, unit="share", part=right, total=10)


def error(value: float) -> Score:
    return Score("rmse", "val", value, False)


def sensitivity(rows: dict[str, list[Any]], of: Any = accuracy, whole: Any = 9) -> Sensitivity:
    """Of layers of eight weights each, cut at the three levels."""
    cuts = [
        LayerCut(name, (name,), level, Share(int(8 * level), 8), of(score))
        for name, scores in rows.items()
        for level, score in zip(LEVELS, scores, strict=True)
    ]
    return Sensitivity("magnitude", of(whole), tuple(cuts), 8 * len(rows))


FOUND = sensitivity({"a": [9, 8, 2], "b": [7, 9, 9], "c": [10, 9, 8]})


def test_layers_and_levels_and_what_is_lost() -> None:
    assert (FOUND.layers, FOUND.levels) == (("a", "b", "c"), LEVELS)
    assert [float(FOUND.loss(cut)) for cut in FOUND.of("a")] == pytest.approx([0.0, 0.1, 0.7])
    assert float(FOUND.loss(FOUND.of("c")[0])) == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("within", "expected"),
    [
        (0.0, {"a": 0.25, "c": 0.5}),
        (0.1, {"a": 0.5, "c": 0.75}),
        # A layer that once lost too much is not cut further, though it lost less there.
        (0.2, {"a": 0.5, "b": 0.75, "c": 0.75}),
        (1, {"a": 0.75, "b": 0.75, "c": 0.75}),
    ],
)
def test_what_a_tolerance_allows(within: float, expected: dict[str, float]) -> None:
    assert FOUND.to_sparsities(within=within) == expected


@pytest.mark.parametrize(
    ("total", "within"), [(0.25, 0.0), (6 / 24, 0.0), (0.4, 0.1), (0.5, 0.2), (0.75, 0.7)]
)
def test_the_gentlest_sparsities_that_reach_a_total(total: float, within: float) -> None:
    assert FOUND.to_sparsities(total=total) == FOUND.to_sparsities(within=within)


def test_of_an_error_less_is_better() -> None:
    found = sensitivity({"a": [1.0, 1.5, 3.0], "b": [2.5, 2.5, 2.5]}, error, 1.0)
    assert found.to_sparsities(within=0.5) == {"a": 0.5}
    assert found.to_sparsities(within=1.5) == {"a": 0.5, "b": 0.75}


@settings(deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 10), min_size=3, max_size=3), min_size=1, max_size=4))
def test_more_tolerance_never_cuts_less(rows: list[list[int]]) -> None:
    found = sensitivity({str(number): row for number, row in enumerate(rows)})
    before: dict[str, float] = {}
    for tolerance in range(11):
        try:
            now = found.to_sparsities(within=tolerance / 10)
        except MaskError:
            now = {}
        assert all(share <= now.get(name, 0) for name, share in before.items())
        for layer, share in now.items():
            up_to = (cut for cut in found.of(layer) if cut.sparsity <= share)
            assert all(found.loss(cut) * 10 <= tolerance for cut in up_to)
        before = now


def test_what_is_cut_together_gets_the_same_and_the_lower_of_two() -> None:
    cuts = (
        LayerCut("a", ("a", "b"), 0.5, Share(8, 16), accuracy(9)),
        LayerCut("b", ("b",), 0.25, Share(2, 8), accuracy(9)),
    )
    found = Sensitivity("l1-filter", accuracy(9), cuts, 16)
    assert found.to_sparsities(within=0) == {"a": 0.5, "b": 0.25}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "both or none"),
        ({"within": 0.1, "total": 0.5}, "both or none"),
        ({"within": -1}, "at least -0.1"),
        ({"total": 0.9}, "at most 0.75"),
    ],
)
def test_what_cannot_be_reached_is_named(asked: dict[str, float], words: str) -> None:
    with pytest.raises(MaskError, match=words):
        FOUND.to_sparsities(**asked)


@pytest.mark.parametrize("levels", [[], [0], [0.5, 1], ["x"], [float("nan")]])
def test_levels_that_are_none(levels: list[Any]) -> None:
    with pytest.raises(MaskError):
        checked_layer_levels(levels)


def test_plain_values_hold_every_integer() -> None:
    values = FOUND.to_dict()
    assert values["cuts"][1]["zeros"] == {"part": 4, "total": 8}
    assert (values["cuts"][1]["loss"], values["total"]) == (0.1, 24)
