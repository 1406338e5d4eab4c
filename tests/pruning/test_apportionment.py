from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secateur.pruning.apportionment import quotas

# total, proportions, lows, highs -> what each gets; all can be checked by hand.
GOLDEN: dict[str, tuple[Any, ...]] = {
    "in proportion": (10, [3, 1, 1], [0, 0, 0], [9, 9, 9], [6, 2, 2]),
    "the first is full at 4: the others share the rest": (
        *(10, [3, 1, 1], [0, 0, 0], [4, 4, 4]),
        [4, 3, 3],
    ),
    "one full layer fills the next": (12, [8, 2, 1], [0, 0, 0], [5, 4, 9], [5, 4, 3]),
    "a low bound takes from the others": (10, [8, 1, 1], [0, 4, 0], [9, 9, 9], ["16/3", 4, "2/3"]),
    "both bounds": (10, [8, 1, 1], [0, 3, 0], [5, 9, 9], [5, 3, 2]),
    "less than the low bounds": (3, [1, 1], [2, 2], [9, 9], [2, 2]),
    "more than the high bounds": (9, [1, 1], [0, 0], [2, 3], [2, 3]),
    "a layer that is fixed": (5, [1, 1], [2, 0], [2, 9], [2, 3]),
    "thirds": (1, [1, 1, 1], [0] * 3, [1] * 3, ["1/3"] * 3),
    "no layer": (4, [], [], [], []),
}


@pytest.mark.parametrize("title", list(GOLDEN))
def test_golden(title: str) -> None:
    total, proportions, lows, highs, expected = GOLDEN[title]
    found = quotas(total, [Fraction(one) for one in proportions], lows, highs)
    assert found == [Fraction(one) for one in expected]


@st.composite
def layers(draw: st.DrawFn) -> list[tuple[Fraction, int, int]]:
    bounds = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)
    proportion = st.fractions(Fraction(1, 50), 50)
    return [(draw(proportion), *draw(bounds)) for _ in range(draw(st.integers(1, 6)))]


@settings(deadline=None, derandomize=True)
@given(layers(), st.integers(-5, 130))
def test_the_sum_is_exact_and_one_factor_is_common(
    given_layers: list[tuple[Fraction, int, int]], total: int
) -> None:
    proportions, lows, highs = map(list, zip(*given_layers, strict=True))
    found = quotas(total, proportions, lows, highs)
    assert sum(found) == min(max(total, sum(lows)), sum(highs))
    assert all(low <= one <= high for one, low, high in zip(found, lows, highs, strict=True))
    if sum(lows) < total < sum(highs):
        rows = list(zip(found, proportions, lows, highs, strict=True))
        # The common factor is no less than this, and no more than that.
        least = max(one / proportion for one, proportion, low, _ in rows if one > low)
        assert least <= min(one / proportion for one, proportion, _, high in rows if one < high)
