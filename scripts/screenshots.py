"""Makes docs/screenshots: of a run's page, and of one of 2,005 points that are made up.

python scripts/screenshots.py              # 20 methods, 20 levels, 5 seeds: wide, phone, paper
python scripts/screenshots.py runs/demo    # and a run's, on a desktop and a phone, light and dark
"""

from __future__ import annotations

import contextlib
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
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with contextlib.chdir(folder):  # the page's commands name the folder as it is given
            many = page.write(fill(Path("runs/made-up"), list(twenty()), "made-up")).resolve()
        shoot(opened(browser, many, (1280, 1160)), "many")
        shoot(opened(browser, many, SIZES["phone"], "dark"), "many-phone")
        sheet = opened(browser, many, PAPER)
        sheet.emulate_media(media="print")
        shoot(sheet, "print")
        for run in sys.argv[1:]:
            file = page.write(Store(Path(run)), Path(folder, "page.html"))
            for name, size in SIZES.items():
                for scheme in ("light", "dark"):
                    shoot(opened(browser, file, size, scheme), f"{name}-{scheme}")
        browser.close()


if __name__ == "__main__":
    main()
