"""The table filtered, and the rows of a long one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from secateur.point import Point

from .conftest import Opened

Open = Callable[..., Opened]
METHODS = ("magnitude", "l1-filter", "random-filter")


@pytest.fixture
def points(made_study: Callable[..., list[Point]]) -> list[Point]:
    return made_study(METHODS, (0.5, 0.75), seeds=2)


@pytest.fixture
def opened(open_page: Open, write_page: Callable[..., Path], points: list[Point]) -> Opened:
    return open_page(write_page(points))


def shown(opened: Opened) -> set[str]:
    rows = opened.page.locator("#table tbody tr")
    return set(rows.evaluate_all("all => all.map(e => e.dataset.digest)"))


def size(point: Point) -> int:
    assert point.artifact_bytes is not None
    return point.artifact_bytes


FILTERS: dict[str, Callable[[Point], bool]] = {
    "": lambda _: True,
    "magn": lambda one: one.method == "magnitude",
    "FILTER :0.75": lambda one: one.method.endswith("filter") and one.level == (0.75,),
    "control": lambda one: one.method == "random-filter",
    "seed=1 bytes<=20k": lambda one: one.seed == 1 and size(one) <= 20_000,
    "sparsity>0.6": lambda one: one.sparsity.value > 0.6,
    "val_accuracy>=.9": lambda one: one.val.value >= 0.9,
    "latency<1.5e-3 macs=100": lambda one: one.level == (0.75,),
    "conv_sparsity<.1": lambda one: one.method == "dense",
    "<script>": lambda _: False,
}


@pytest.mark.parametrize("words", FILTERS)
def test_a_row_has_every_word_and_meets_every_bound(
    opened: Opened, points: list[Point], words: str
) -> None:
    opened.page.fill("#filter", words)
    wanted = {one.digest for one in points if FILTERS[words](one)}
    assert shown(opened) == wanted
    said = f"{len(wanted)} of {len(points)} points." if words else f"{len(points)} points."
    assert opened.text("#filter-said") == said


def test_a_number_that_there_is_not_is_named_with_those_that_there_are(opened: Opened) -> None:
    opened.page.fill("#filter", "size<3 bytes<1M")
    assert opened.text("#filter-said").startswith("No number is called size. There are: seed, ")
    assert opened.page.get_attribute("#filter", "aria-invalid") == "true"


def test_the_methods_drawn_alone_sorted_and_sent(
    opened: Opened, points: list[Point], open_page: Open
) -> None:
    sheet = opened.page
    sheet.uncheck("#methods input[value=magnitude]")
    sheet.check("#filter-drawn")
    sheet.fill("#filter", "seed=0")
    sheet.click("#table thead button:text-is('sparsity')")
    sheet.click("#table thead button:text-is('sparsity')")
    wanted = {one.digest for one in points if one.method != "magnitude" and one.seed == 0}
    assert shown(opened) == wanted
    sheet.wait_for_url("**sort=-sparsity*drawn=yes*")
    again = open_page(sheet.url)
    assert shown(again) == wanted
    order = "all => all.map(e => e.dataset.digest)"
    rows = "#table tbody tr"
    assert again.page.locator(rows).evaluate_all(order) == sheet.locator(rows).evaluate_all(order)
    assert opened.complaints == again.complaints == []


def test_of_a_long_table_the_first_rows_are_made_until_more_are_asked_for(
    open_page: Open, write_page: Callable[..., Path], made_study: Callable[..., list[Point]]
) -> None:
    made = made_study(METHODS, tuple(0.1 + place / 100 for place in range(55)))
    opened = open_page(write_page(made))
    rows = opened.page.locator("#table tbody tr")
    assert rows.count() == 150
    assert opened.text("#filter-said") == "166 points. The first 150 are listed."
    assert opened.text("#more-some") == "Show 16 more"
    opened.page.click("#more-all")
    rows.nth(150).locator("button:focus").wait_for()
    assert rows.count() == len(made) == 166
    assert opened.page.locator("#more").is_hidden()
    opened.page.fill("#filter", "dense")
    assert rows.count() == 1
