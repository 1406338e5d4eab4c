"""Settings as TOML: whatever is written is read back as it was."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.foundation.toml_text import toml_text

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN = st.one_of(
    WORDS,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3)
)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_what_is_written_is_read_back(values: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(values)) == values


def test_none_is_left_out_and_others_are_refused() -> None:
    assert toml_text({"a": None, "b": [{"c": None, "d": 1}]}) == "b = [{ d = 1 }]\n"
    assert toml_text({"a": float("nan"), "b": float("-inf")}) == "a = nan\nb = -inf\n"
    with pytest.raises(TypeError, match="no form in TOML"):
        toml_text({"a": object()})
