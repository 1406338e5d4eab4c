from __future__ import annotations

import ast
import copy
import inspect
import pickle
from pathlib import Path

import pytest

from secateur import errors
from secateur.errors import MaskError, SecateurError, TrainingError, UnknownNameError, UsageError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, SecateurError) and kind is not UnknownNameError
]


def make(kind: type[SecateurError]) -> SecateurError:
    return kind("prune", "fc.weight", given="NaN", expected="finite", remedy="Clip gradients.")


@pytest.mark.parametrize("kind", KINDS)
def test_the_message_says_operation_subject_given_expected_and_remedy(
    kind: type[SecateurError],
) -> None:
    error = make(kind)
    assert str(error) == "prune: fc.weight is NaN, expected finite. Clip gradients."
    assert (error.operation, error.subject) == ("prune", "fc.weight")
    assert (error.given, error.expected, error.remedy) == ("NaN", "finite", "Clip gradients.")


@pytest.mark.parametrize(
    "error", [*map(make, KINDS), UnknownNameError("method", "l1", ["l1-filter", "dense"])]
)
def test_errors_cross_processes(error: SecateurError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


def test_what_the_user_asked_for_is_told_from_what_broke() -> None:
    broken = {kind.__name__ for kind in KINDS if not issubclass(kind, UsageError)}
    assert broken == {"SecateurError", "TrainingError"}
    assert issubclass(UnknownNameError, UsageError)
    assert not issubclass(TrainingError, UsageError)
    assert issubclass(MaskError, UsageError)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("magnitud", "Did you mean 'magnitude'?"),
        ("slim", "Did you mean 'slimming'?"),
        ("L1_filter", "Did you mean 'l1-filter'?"),
        ("zzz", "Choose one of these."),
        ("", "Choose one of these."),
    ],
)
def test_the_nearest_name_is_suggested(name: str, remedy: str) -> None:
    error = UnknownNameError("method", name, iter(["slimming", "magnitude", "l1-filter"]))
    assert error.remedy == remedy
    assert str(error) == (
        f"looking up a method: the method is {name!r}, expected one of l1-filter, magnitude, "
        f"slimming. {remedy}"
    )


def test_where_nothing_is_registered_a_name_of_ones_own_is_expected() -> None:
    assert str(UnknownNameError("metric", "size", [])) == (
        "looking up a metric: the metric is 'size', expected package.module:name, of one of your "
        "own: none is registered. Name it so."
    )


COMMANDS = {
    *("give", "pass", "use", "set", "name", "choose", "install", "write", "run", "call", "make"),
    *("try", "put", "take", "remove", "save", "load", "build", "move", "free", "check", "see"),
}


def expectations(source: str) -> list[str]:
    """The texts that errors of a file expect, with `{}` for what is filled in."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "expected":
            whole = node.value.values if isinstance(node.value, ast.JoinedStr) else [node.value]
            texts = [one.value if isinstance(one, ast.Constant) else "{}" for one in whole]
            found.append("".join(map(str, texts)))
    return found


def test_what_is_expected_is_a_thing_and_no_command() -> None:
    """`expected a number`, never `expected give a number`."""
    assert expectations("E(expected='give a number')") == ["give a number"]
    root = Path(errors.__file__).parent
    told = [text for path in root.rglob("*.py") for text in expectations(path.read_text())]
    assert len(told) > 200
    assert [text for text in told if text.lower().split(" ")[0] in COMMANDS] == []
