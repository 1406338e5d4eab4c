"""Many dots: each is little, and still reached, said and chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from secateur.point import Point
from secateur.report import page
from secateur.study.store import Store

from .conftest import Opened

MANY = 450


def test_many_dots_are_reached_said_and_chosen(
    open_page: Callable[..., Opened],
    write_page: Callable[..., Path],
    made_study: Callable[..., list[Point]],
) -> None:
    path = write_page(made_study(("magnitude", "l1-filter"), (0.5,)))
    values = page.values(Store(path.parent))
    place = next(i for i, one in enumerate(values["levels"]) if one["method"] == "magnitude")
    level = values["levels"][place]
    point = values["points"][level["points"][0]]
    for step in range(1, MANY):
        there = len(values["points"])
        mean = {**level["mean"], "bytes": level["mean"]["bytes"] + 40 * step}
        made = {"step": step, "level": f"{step}", "points": [there], "ships": there, "mean": mean}
        values["levels"].append({**level, **made})
        names = {"digest": f"{step:064}", "id": f"{step:012}", "name": f"magnitude:{step}:0"}
        values["points"].append({**point, **names, "step": step, "level": f"{step}"})
    path.write_text(page.render(values))
    opened = open_page(path)
    dots = opened.page.locator(".dot")
    assert dots.count() == MANY + 2
    assert opened.page.locator(".dot.plain").count() == MANY + 1
    opened.page.locator(f'.dot[data-key="magnitude/{MANY - 1}"][aria-label]').wait_for()
    opened.page.locator(".dot[tabindex='0']").focus()
    opened.page.keyboard.press("Home")
    opened.page.keyboard.press("ArrowRight")
    focused = opened.page.evaluate("document.activeElement.dataset.key")
    said = opened.page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert f"magnitude at {focused.rpartition('/')[2]}, bytes on disk" in said
    opened.page.keyboard.press("Enter")
    assert opened.keys('.dot[aria-pressed="true"]') == {focused}
    assert opened.page.evaluate("document.activeElement.dataset.key") == focused
    assert opened.text("#details-name").startswith(f"magnitude at {focused.rpartition('/')[2]}")
    opened.page.locator(".dot.plain").first.hover(force=True)
    assert opened.complaints == []
