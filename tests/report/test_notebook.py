import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from study_points import CONTROLS
from study_points import study as timed

from secateur.point import Point
from secateur.report.notebook import show_study

HOSTILE = '<script>alert("1")</script>'


def study(*arguments: Any) -> list[Point]:
    """Of a study that has not come to its end: its nets are not timed yet."""
    return [replace(point, latency=()) for point in timed(*arguments)]


def tags(html: str) -> set[str]:
    found = set()

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            found.add(tag)

    Parser().feed(html)
    return found


def test_the_table_and_the_figure() -> None:
    shown = show_study("Study of three seeds", study(), CONTROLS)
    assert {"p", "table", "svg"} <= tags(shown)
    assert shown.count("<tr") == 1 + 1 + 6 * 5
    assert "<?xml" not in shown


def test_names_are_text() -> None:
    shown = show_study(HOSTILE, study(1, (HOSTILE, "magnitude")), CONTROLS)
    assert "script" not in tags(shown)
    assert "&lt;script&gt;" in shown


def test_before_the_first_point_there_are_words() -> None:
    assert show_study("nothing yet", [], CONTROLS) == "<div><p>nothing yet</p></div>"


def test_without_matplotlib_there_is_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    shown = show_study("words", study(1), CONTROLS)
    assert "table" in tags(shown)
    assert "svg" not in tags(shown)
    assert "pip install" in shown
