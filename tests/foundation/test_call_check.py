"""A function of the user's own that cannot be called as it will be is refused before it is."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from secateur.errors import UsageError
from secateur.foundation.call_check import check_takes


class Measure:
    def __call__(self, net: Any, split: Any, more: int = 0) -> None: ...


def two(one: Any, other: Any) -> None: ...


TAKEN = [two, Measure(), print, partial(two), lambda *_: None, lambda _a, _b=1: None, dict, type]


@pytest.mark.parametrize("function", TAKEN)
def test_what_takes_two_is_let_through(function: Callable[..., Any]) -> None:
    check_takes(function, ("model", "split"), "evaluate")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: None, r"<lambda> is a function of \(\)"),
        (
            lambda _model: None,
            r"of \(_model\), expected one that is called as evaluate\(model, split",
        ),
        (lambda _a, _b, _c: None, r"of \(_a, _b, _c\)"),
        (lambda _a, *, _split: None, r"of \(_a, \*, _split\)"),
        (partial(two, 1), r"partial is a function of \(other"),
    ],
)
def test_what_does_not_is_told_with_what_it_takes(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_takes(function, ("model", "split"), "evaluate")
