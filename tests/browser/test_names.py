"""The methods' names beside the chart, where there are many and long ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from secateur.point import Point

from .conftest import Opened

LONG = "our_pruners.channels:SensitivityAwareChannelMethodWithALongName"
METHODS = (
    "magnitude", "lamp", "wanda", "obd", "fisher", "movement", "change", "random-weight", "snip",
    "l1-filter", "l2-filter", "fpgm", "hrank", "apoz", "taylor-filter", "taylor-gate", "slimming",
    "combined", "random-filter", LONG,
)  # fmt: skip


def boxes(opened: Opened, selector: str) -> list[dict[str, Any]]:
    script = "all => all.map(e => { const b = e.getBoundingClientRect(); return {" \
        "left: b.left, right: b.right, top: b.top, bottom: b.bottom} })"  # fmt: skip
    found: list[dict[str, Any]] = opened.page.locator(selector).evaluate_all(script)
    return found


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    across = one["left"] < other["right"] and other["left"] < one["right"]
    return bool(across and one["top"] < other["bottom"] - 3 and other["top"] < one["bottom"] - 3)


def test_of_twenty_methods_no_name_lies_on_a_mark_or_on_another(
    open_page: Callable[..., Opened],
    write_page: Callable[..., Path],
    made_study: Callable[..., list[Point]],
) -> None:
    opened = open_page(write_page(made_study(METHODS, (0.5, 0.75))))
    opened.page.click("#methods-all")
    names, marks = boxes(opened, ".ends text"), boxes(opened, ".dot > path")
    assert len(names) == len(METHODS) + 1
    assert not any(overlap(name, mark) for name in names for mark in marks)
    assert not any(overlap(a, b) for i, a in enumerate(names) for b in names[:i])
    frame = opened.page.locator("#figure").bounding_box()
    assert max(name["right"] for name in names) <= frame["x"] + frame["width"]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 1280
    opened.page.fill("#methods-find", "sensitivity")
    assert opened.text("#methods-all") == "Only these"
    opened.page.click("#methods-all")
    assert opened.keys(".dot") == {f"{LONG}/0", f"{LONG}/1"}
    assert opened.text(".ends text").endswith("…")
    assert opened.complaints == []
