"""The view in the address: it survives a reload, can be sent, and may be of anybody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from secateur.point import Point

from .conftest import Opened

Open = Callable[..., Opened]
Made = Callable[..., list[Point]]
Write = Callable[..., Path]


@pytest.fixture
def path(write_page: Write, made_study: Made) -> Path:
    return write_page(made_study(seeds=2))


def seen(opened: Opened) -> dict[str, object]:
    """All that a view is to bring back."""
    sheet = opened.page
    return {
        "axes": [sheet.input_value(one) for one in ("#x", "#y", "#floor-number")],
        "checks": [sheet.is_checked(one) for one in ("#log", "#apart")],
        "methods": sheet.locator("#methods input:checked").evaluate_all("a => a.map(e => e.value)"),
        "point": opened.text("#details-name"),
        "pick": opened.text("#pick"),
        "dots": sorted(opened.keys(".dot")),
    }


def test_a_page_that_was_only_opened_has_a_plain_address(open_page: Open, path: Path) -> None:
    assert open_page(path).page.url == path.as_uri()


def test_axes_methods_floor_and_point_survive_a_reload_and_can_be_sent(
    open_page: Open, path: Path
) -> None:
    opened = open_page(path)
    sheet = opened.page
    plain = seen(opened)
    sheet.select_option("#x", "macs")
    sheet.select_option("#y", "test_accuracy")
    sheet.fill("#floor-number", "0.85")
    sheet.uncheck("#methods input[value=l1-filter]")
    sheet.click('tr:has-text("magnitude"):has-text("0.75") >> nth=1')
    sheet.check("#apart")
    chosen = seen(opened)
    assert chosen != plain
    sheet.wait_for_url("**#*apart=yes*")
    address = sheet.url
    sheet.reload()
    opened.drawn()
    assert seen(opened) == chosen
    assert sheet.url == address
    assert seen(open_page(f"{path.as_uri()}#{address.partition('#')[2]}")) == chosen
    for words in ("x=macs", "y=test_accuracy", "floor=0.85", "point=magnitude%3A0.75%3A1"):
        assert words in address
    sheet.evaluate("location.hash = 'x=nonzero'")
    sheet.locator("#chart svg[aria-label*='non-zero parameters']").wait_for()
    assert opened.text("#details-name") == plain["point"]
    assert opened.complaints == []


HOSTILE = (
    "x=<script>window.hit=1</script>&y=__proto__&methods=constructor,%F&point=toString&log=-x,y",
    "constructor=1&__proto__=2&toString=3&x=%&floor=1e9&floor=..&far&=&&&",
    "x=val_accuracy&y=bytes&floor=" + "9" * 5000 + "x",
    "point=" + "a" * 50_000,
)


@pytest.mark.parametrize("words", HOSTILE)
def test_a_view_that_makes_no_sense_is_left_out(open_page: Open, path: Path, words: str) -> None:
    plain = seen(open_page(path))
    opened = open_page(f"{path.as_uri()}#{words}")
    found = seen(opened)
    assert opened.page.evaluate("window.hit") is None
    assert found["axes"] == plain["axes"]
    assert found["point"] == plain["point"]
    assert opened.complaints == []


def test_the_link_to_the_table_is_no_view(open_page: Open, path: Path) -> None:
    opened = open_page(path)
    opened.page.select_option("#x", "macs")
    opened.page.evaluate("location.hash = 'points'")
    assert opened.page.input_value("#x") == "macs"
    opened.page.select_option("#y", "test_accuracy")
    opened.page.wait_for_url("**#x=macs&y=test_accuracy")
