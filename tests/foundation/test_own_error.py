import pytest

from secateur.foundation.own_error import place_of, text_of, words_of


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise SystemExit(0)


class NoText(Exception):  # noqa: N818
    def __str__(self) -> str:
        return None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("one\ntwo"), "ValueError: one two"),
        (ValueError(), "ValueError"),
        (Mute(), "Mute: (its text cannot be had)"),
        (NoText(), "NoText: (its text cannot be had)"),
        (ValueError("\ud800"), r"ValueError: \ud800"),
        (SystemExit(), "SystemExit"),
    ],
)
def test_an_error_says_what_it_can(error: BaseException, words: str) -> None:
    assert words_of(error) == words


def test_a_long_text_is_cut() -> None:
    text = text_of(ValueError("x" * (50 << 20)), 100)
    assert (len(text), text[-1]) == (100, "…")


def test_a_place_is_the_innermost_line_of_the_users_own() -> None:
    def parse() -> object:
        from json import loads

        return loads("{")

    with pytest.raises(ValueError, match="Expecting") as caught:
        parse()
    assert place_of(caught.value).startswith("test_own_error.py, line ")
    assert place_of(ValueError()) == ""
