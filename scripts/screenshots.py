"""Makes docs/screenshots: a run's page on a desktop, a phone and paper, and one of 2,005 points.

python scripts/screenshots.py runs/demo

The last is of a study that is made up (benchmarks/page.py): 20 methods, 20 levels, 5 seeds.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from secateur.report import page
from secateur.study.store import Store

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from page import fill, twenty  # noqa: E402

FOLDER = ROOT / "docs" / "screenshots"
SIZES = {"desktop": (1280, 1560), "phone": (390, 1900)}
PAPER = (794, 1123)  # A4 at 96 dots an inch


def shoot(sheet: Page, name: str) -> None:
    """A picture of what is on the screen, packed as small as PNG goes without losing a colour."""
    picture = Image.open(io.BytesIO(sheet.screenshot())).convert("RGB")
    picture.save(FOLDER / f"page-{name}.png", optimize=True)


def opened(browser: Browser, file: Path, size: tuple[int, int], scheme: str = "light") -> Page:
    """A page, once all of it has been drawn."""
    width, height = size
    sheet = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    sheet.goto(file.as_uri())
    sheet.wait_for_selector("html[data-drawn]")
    return sheet


def main() -> None:
    run = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = page.write(Store(run), Path(folder, "page.html"))
        many = page.write(fill(Path(folder, "many"), list(twenty()), "20 x 20 x 5, made up"))
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, size in SIZES.items():
            for scheme in ("light", "dark"):
                shoot(opened(browser, file, size, scheme), f"{name}-{scheme}")
        shoot(opened(browser, many, (1280, 1100)), "many")
        sheet = opened(browser, file, PAPER)
        sheet.emulate_media(media="print")
        shoot(sheet, "print")
        browser.close()


if __name__ == "__main__":
    main()
