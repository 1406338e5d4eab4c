from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.foundation.level import ENDS, Levels, order, parse_level, parse_patterns, parse_shares
from secateur.foundation.level_text import level_text

TABLE = (("features.*", 0.5), ("fc", 0.9))


@pytest.mark.parametrize(
    ("given", "level"),
    [
        (0.5, (0.5,)),
        (0, (0.0,)),
        ("0.5", (0.5,)),
        (" 0.5 ", (0.5,)),
        ("0.3/0.9", (0.3, 0.9)),
        ([0.3, 0.9], (0.3, 0.9)),
        ((0.3, "0.9"), (0.3, 0.9)),
        (0.9999999, (0.9999999,)),
        (dict(TABLE), (TABLE,)),
        ([dict(TABLE), 0.9], (TABLE, 0.9)),
        ("features.*=0.5;fc=0.9/0.5", (TABLE, 0.5)),
        ([[["features.*", 0.5], ["fc", 0.9]]], (TABLE,)),
    ],
)
def test_levels_are_parsed(given: object, level: Levels) -> None:
    assert parse_level(given) == level


BAD = [1, 1.0, 1.5, 90, -0.1, -1, float("nan"), float("inf"), -float("inf"), "", "half", "0.5/"]
BAD += ["nan", "50%", "0.5,0.6", "1", True, False, None, {}, [0.5, 1.0], ["x"]]  # type: ignore[list-item]
BAD += [10**400, -(10**400), {"fc": 10**400}]
BAD += [{"fc": 1.0}, {"fc": "x"}, {"fc": {"fc": 0.5}}, "fc=1", "fc="]  # type: ignore[list-item]


@pytest.mark.parametrize("value", BAD, ids=repr)
def test_a_bad_sparsity_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a number from 0 up to, but not including"):
        parse_level(value)


@pytest.mark.parametrize(
    "value", [{"a b": 0.5}, {3: 0.5}, {"": 0.5}, [["fc"]], [["fc", 0.5, 1]], "=0.5"], ids=repr
)
def test_a_table_without_patterns_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"pattern|name|pairs|number"):
        parse_shares(value)


def test_a_pattern_stands_once() -> None:
    with pytest.raises(ValueError, match="each pattern once"):
        parse_shares([["fc", 0.5], ["fc", 0.6]])
    assert parse_patterns(["fc", "fc"]) == ("fc",)


def test_the_ends_of_a_network_are_patterns_and_no_other_words_with_a_colon() -> None:
    assert parse_shares({":last": 0.8}) == ((":last", 0.8),)
    assert parse_shares(":first=0.5;*=0.9") == ((":first", 0.5), ("*", 0.9))
    assert parse_patterns([":last", "fc"]) == (":last", "fc")
    with pytest.raises(ValueError, match="or :first or :last"):
        parse_patterns(":middle")


def test_the_highest_sparsity_may_be_all() -> None:
    assert parse_shares(1, highest=True) == (("*", 1.0),)
    with pytest.raises(ValueError, match="from 0 to 1"):
        parse_shares(1.5, highest=True)


NAMES = st.from_regex(r"[A-Za-z0-9_.*?\[\]!-]{1,12}", fullmatch=True) | st.sampled_from(list(ENDS))
# As many digits as a level in words shows.
SHARES = st.integers(0, 9999).map(lambda number: number / 10_000)
TABLES = st.dictionaries(NAMES, SHARES, min_size=1).map(lambda one: tuple(one.items()))
LEVELS = st.lists(SHARES | TABLES, min_size=1, max_size=3).map(tuple)


@given(LEVELS)
def test_a_level_in_words_is_the_level(level: Levels) -> None:
    assert parse_level(level_text(level)) == level


@given(st.lists(LEVELS))
def test_all_levels_can_be_sorted(levels: list[Levels]) -> None:
    keys = [order(level) for level in sorted(levels, key=order)]
    assert all(before <= after for before, after in pairwise(keys))
