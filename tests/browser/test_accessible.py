"""The page as axe-core sees it: no finding, light and dark, on a wide screen and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from secateur.point import Point

from .conftest import Opened

Open = Callable[..., Opened]
SIZES = {"wide": (1280, 900), "phone": (390, 844)}


def findings(opened: Opened) -> str:
    found = Axe().run(opened.page)
    return str(found.generate_report()) if found.violations_count else ""


@pytest.fixture
def path(write_page: Callable[..., Path], made_study: Callable[..., list[Point]]) -> Path:
    """Three seeds, and a run that failed: every part of the page is there but a search."""
    settings = {"name": "made", "model": {"name": "__main__:net"}}
    return write_page(made_study(seeds=3), settings, reason="the loss is not finite")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: Open, path: Path, scheme: str, size: str) -> None:
    width, height = SIZES[size]
    opened = open_page(path, color_scheme=scheme, viewport={"width": width, "height": height})
    assert findings(opened) == ""
