"""Two or three points side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from secateur.point import Point

from .conftest import Opened

Open = Callable[..., Opened]


@pytest.fixture
def opened(
    open_page: Open, write_page: Callable[..., Path], made_study: Callable[..., list[Point]]
) -> Opened:
    return open_page(write_page(made_study()))


def show(opened: Opened, method: str, level: str) -> None:
    opened.page.click(f"#table tbody tr:has-text('{method}'):has-text('{level}') button")


def heads(opened: Opened) -> list[str]:
    found = opened.page.locator("#beside-table thead .beside-name").all_text_contents()
    return [str(one) for one in found]


def row(opened: Opened, head: str) -> list[str]:
    cells = opened.page.locator(f"#beside-table tbody tr:has(th:text-is('{head}')) td")
    return [str(one) for one in cells.all_text_contents()]


def test_points_are_kept_beside_the_one_that_is_looked_at(opened: Opened) -> None:
    assert opened.page.locator("#beside").is_hidden()
    show(opened, "magnitude", "0.75")
    opened.page.click("#keep")
    assert heads(opened) == ["magnitude at 0.75"]
    assert "Choose another point" in opened.text("#beside-hint")
    show(opened, "l1-filter", "0.5")
    assert heads(opened) == ["magnitude at 0.75", "l1-filter at 0.5"]
    assert row(opened, "Size, against the dense net") == ["4.0 times smaller", "2.0 times smaller"]
    assert row(opened, "Bytes on disk") == ["10 kB, the best", "20 kB\u00d7 2"]
    assert row(opened, "Validation accuracy") == ["0.8680", "0.8900, the best"]
    assert row(opened, "Test accuracy") == ["0.8630", "0.8850"]  # chooses nothing
    assert row(opened, "Latency at batch 1") == ["1.25 ms, the best", "1.5 ms\u00d7 1.2"]
    opened.page.click("#keep")
    show(opened, "dense", "-")
    opened.page.click("#keep")
    show(opened, "l1-filter", "0.75")
    assert heads(opened) == ["magnitude at 0.75", "l1-filter at 0.5", "dense after 7 epochs"]
    opened.page.click("#keep")
    assert "3 points are kept" in opened.text("#said")
    opened.page.click("[aria-label='Remove l1-filter:0.5:0']")
    assert heads(opened) == ["magnitude at 0.75", "dense after 7 epochs", "l1-filter at 0.75"]
    assert opened.page.evaluate("document.activeElement.id") == "beside"
    assert opened.complaints == []


def test_what_is_side_by_side_can_be_sent(opened: Opened, open_page: Open) -> None:
    show(opened, "magnitude", "0.75")
    opened.page.click("#keep")
    show(opened, "l1-filter", "0.5")
    opened.page.wait_for_url("**point=l1-filter*beside=*")
    assert heads(open_page(opened.page.url)) == heads(opened)
