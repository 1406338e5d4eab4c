"""Several studies in one page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from secateur.point import Point
from secateur.report import page

from .conftest import Opened, fill

Open = Callable[..., Opened]


@pytest.fixture
def path(made_study: Callable[..., list[Point]], tmp_path: Path) -> Path:
    """Two studies of one name, the second of which loses less and has other methods and levels."""
    first = made_study(("magnitude", "l1-filter"), (0.5, 0.75))
    second = [
        replace(one, digest=one.digest[::-1], artifact_bytes=(one.artifact_bytes or 0) - 500)
        for one in made_study(("taylor-filter", "magnitude"), (0.5, 0.75, 0.9))
    ]
    names = {"name": "made", "model": {"name": "conv4"}, "data": {"name": "shapes"}}
    stores = [fill(tmp_path / "a", first, names), fill(tmp_path / "b", second, names)]
    return page.write(stores, tmp_path / "both.html")


def rows(opened: Opened) -> list[list[str]]:
    found = opened.page.locator("#studies-table tbody tr")
    return [str(text).split("\t") for text in found.all_inner_texts()]


def test_each_study_says_what_its_pick_gains_and_any_of_them_is_shown(
    open_page: Open, path: Path, tmp_path: Path
) -> None:
    opened = open_page(path)
    one, other = rows(opened)
    assert one[0] == f"made ({tmp_path / 'a'})"
    assert one[1:5] == ["conv4 on shapes", "5", "0.9000", "magnitude at 0.5"]
    assert one[5:] == ["2.0 times smaller", "1.3 times faster in PyTorch", "0.6 points lost"]
    assert other[2] == "7"
    assert opened.text("#about").count(str(tmp_path / "a")) == 0
    assert {name.split("/")[0] for name in opened.keys(".dot")} == {
        "dense", "magnitude", "l1-filter",
    }  # fmt: skip
    opened.page.select_option("#x", "macs")
    opened.page.locator("#studies-table button").nth(1).click()
    assert opened.page.input_value("#x") == "macs"
    assert {name.split("/")[0] for name in opened.keys(".dot")} == {
        "dense", "magnitude", "taylor-filter",
    }  # fmt: skip
    assert str(tmp_path / "b") in opened.text("#pick-command")
    assert opened.page.locator("#table tbody tr").count() == 7
    assert opened.complaints == []


def test_the_others_frontiers_are_drawn_and_the_study_can_be_sent(
    open_page: Open, path: Path, tmp_path: Path
) -> None:
    opened = open_page(path)
    before = opened.page.locator("#chart path").count()
    opened.page.check("#others")
    assert opened.page.locator("#chart path").count() > before
    assert f"Grey and dashed: the frontier of made ({tmp_path / 'b'})." in opened.text("#caption")
    opened.page.locator("#studies-table button").nth(1).click()
    assert opened.page.is_checked("#others")
    opened.page.click('#table tbody tr:has-text("0.9") button')
    opened.page.wait_for_url("**study=*others=yes*point=*")
    again = open_page(opened.page.url)
    assert again.text("#details-name") == opened.text("#details-name")
    assert rows(again) == rows(opened)
    assert again.complaints == []


def test_one_study_has_no_table_of_studies(
    open_page: Open, write_page: Callable[..., Path], made_study: Callable[..., list[Point]]
) -> None:
    opened = open_page(write_page(made_study()))
    assert opened.page.locator("#studies").is_hidden()
    assert opened.page.locator("#others-label").is_hidden()
