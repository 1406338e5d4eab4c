"""What two settings differ in, and nothing else."""

import pytest

from secateur.study.setting_words import difference

OWN = "mynets:build"


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({}, {"width": 16}, ("without width", "with width = 16")),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ("with b = 2", "with b = 3")),
        ({"a": 1, "b": [2]}, {"c": 3}, ("with a = 1, b = [2] and without c", "with c = 3")),
        ({"path": "x\x1b[2J"}, {"path": "y"}, ("with path = 'x", "with path = 'y'")),
    ],
)
def test_the_options_that_differ_are_told(
    one: dict[str, object], other: dict[str, object], words: tuple[str, str]
) -> None:
    told = difference({"name": OWN, "options": one}, {"name": OWN, "options": other})
    for found, wanted in zip(told, words, strict=True):
        assert found.startswith(f"{OWN!r} {wanted}")
        assert found.isprintable()


def test_other_names_are_enough() -> None:
    assert difference("one", {"name": "two", "options": {"a": 1}}) == ("'one'", "'two'")
