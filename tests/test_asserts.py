"""No `assert` in the source: what a user gives never ends in a bare AssertionError."""

import ast
from pathlib import Path

import secateur

ROOT = Path(secateur.__file__).parent


def asserts(source: str) -> list[int]:
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]


def test_the_check_sees_an_assert():
    assert asserts("def f(x):\n    if x:\n        assert x, 'no'\n") == [3]


def test_there_is_no_assert_in_the_source():
    found = {
        path.relative_to(ROOT): asserts(path.read_text("utf-8")) for path in ROOT.rglob("*.py")
    }
    assert not {str(path): lines for path, lines in found.items() if lines}
