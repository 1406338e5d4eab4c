"""What is public says what it takes: every argument, where there are two or more."""

import inspect
import re

import pytest

import secateur
from secateur.channels import register_operator
from secateur.pruning.criterion import needs
from secateur.pruning.statistics import gather
from secateur.study.metrics import own_metric

PUBLIC = {name: getattr(secateur, name) for name in secateur.__all__}
EXTENDING = {one.__name__: one for one in (register_operator, needs, gather, own_metric)}
EVERY = {name: one for name, one in (PUBLIC | EXTENDING).items() if callable(one)}


def arguments(thing: object) -> list[str]:
    parameters = inspect.signature(thing).parameters  # type: ignore[arg-type]
    return [name for name in parameters if name not in ("self", "args", "kwargs")]


def untold(thing: object) -> list[str]:
    """The arguments that its docstring does not name."""
    names = arguments(thing)
    told = (inspect.getdoc(thing) or "").partition("Args:\n")[2]
    return [name for name in names if not re.search(rf"^ *\**{name}: ", told, re.MULTILINE)]


@pytest.mark.parametrize("name", sorted(EVERY))
def test_it_has_a_summary(name: str) -> None:
    first = (inspect.getdoc(EVERY[name]) or "").split("\n")[0]
    assert first.endswith((".", ":"))


@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_argument_is_told(name: str) -> None:
    thing = EVERY[name]
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    if len(arguments(thing)) >= 2:
        assert untold(thing) == []


def test_one_that_is_missing_is_seen() -> None:
    def made(first: int, second: int) -> None:
        """Do it.

        Args:
            first: This one.
        """

    assert untold(made) == ["second"]
