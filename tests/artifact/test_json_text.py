"""JSON of others: how much there may be, and what has two meanings."""

import json
from pathlib import Path

import pytest

from secateur.artifact.json_text import MOST_VALUES, check_amount, unique
from secateur.errors import ArtifactError


def test_values_are_counted_and_letters_are_not() -> None:
    check_amount(Path("x"), json.dumps({"a": ",:[{" * MOST_VALUES}))
    check_amount(Path("x"), json.dumps({"a": '\\",[' * MOST_VALUES}).encode())
    check_amount(Path("x"), "[" + "1," * (MOST_VALUES - 10) + "1]")
    for text in ("[" + "1," * MOST_VALUES + "1]", "[]," * MOST_VALUES, "{" * (MOST_VALUES + 9)):
        with pytest.raises(ArtifactError, match="of more values"):
            check_amount(Path("x"), text)


def test_a_name_that_is_there_twice_is_refused() -> None:
    assert json.loads('{"a": {"a": 1}}', object_pairs_hook=unique) == {"a": {"a": 1}}
    with pytest.raises(ValueError, match="twice"):
        json.loads('{"b": {"a": 1, "a": 1}}', object_pairs_hook=unique)
