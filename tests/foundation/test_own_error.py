import pytest

from secateur.foundation.own_error import first_line_of, kind_of, place_of, text_of, words_of


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise SystemExit(0)


class NoText(Exception):  # noqa: N818
    def __str__(self) -> str:
        return None  # type: ignore[return-value]


class Text(str):
    def __getitem__(self, _: object) -> str:
        return 1 / 0  # type: ignore[return-value]


class Odd(Exception):  # noqa: N818
    def __str__(self) -> str:
        return Text("said")

    def __repr__(self) -> str:
        raise KeyboardInterrupt


class Nameless(type):
    __name__ = property(lambda _: 1 / 0)  # type: ignore[assignment]


class Unnamed(BaseException, metaclass=Nameless):
    pass


LONG_KIND = type("E" * 5000 + "\n", (Exception,), {})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("one\ntwo"), "ValueError: one two"),
        (ValueError(), "ValueError"),
        (Mute(), "Mute: (its text cannot be had)"),
        (NoText(), "NoText: (its text cannot be had)"),
        (ValueError("\ud800"), r"ValueError: \ud800"),
        (SystemExit(), "SystemExit"),
        (Odd(), "Odd: (its text cannot be had)"),
        (ValueError(Odd()), "ValueError: (its text cannot be had)"),
        (Unnamed("is told"), "Unnamed: is told"),
        (GeneratorExit(), "GeneratorExit"),
        (ExceptionGroup("several", [Mute()]), "ExceptionGroup: several (1 sub-exception)"),
        (LONG_KIND("x"), "E" * 100 + ": x"),
    ],
)
def test_an_error_says_what_it_can(error: BaseException, words: str) -> None:
    assert words_of(error) == words


def test_a_long_text_is_cut() -> None:
    text = text_of(ValueError("x" * (50 << 20)), 100)
    assert (len(text), text[-1]) == (100, "…")
    assert len(first_line_of(ValueError("x" * 5000))) == 1000


def test_the_first_line_is_one_that_says_something() -> None:
    assert first_line_of(ValueError("\n \n a  b\nc")) == "a b"
    assert first_line_of(ValueError()) == ""
    assert first_line_of(Mute()) == "(its text cannot be had)"
    assert kind_of(ValueError()) == "ValueError"


def test_a_place_is_the_innermost_line_of_the_users_own() -> None:
    def parse() -> object:
        from json import loads

        return loads("{")

    with pytest.raises(ValueError, match="Expecting") as caught:
        parse()
    assert place_of(caught.value).startswith("test_own_error.py, line ")
    assert place_of(ValueError()) == ""
