"""Makes docs/screenshots: the page of a run at desktop and phone width, light and dark.

python scripts/screenshots.py runs/demo
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from secateur.report import page
from secateur.study.store import Store

FOLDER = Path(__file__).parent.parent / "docs" / "screenshots"
SIZES = {"desktop": (1280, 1560), "phone": (390, 1900)}


def shoot(sheet: Page, path: Path) -> None:
    """A picture of what is on the screen, packed as small as PNG goes without losing a colour."""
    Image.open(io.BytesIO(sheet.screenshot())).convert("RGB").save(path, optimize=True)


def main() -> None:
    run = Path(sys.argv[1])
    file = page.write(Store(run), FOLDER / ".page.html")
    try:
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, (width, height) in SIZES.items():
                for scheme in ("light", "dark"):
                    sheet = browser.new_page(
                        viewport={"width": width, "height": height}, color_scheme=scheme
                    )
                    sheet.goto(file.as_uri())
                    sheet.wait_for_selector(".dot")
                    if scheme == "dark":
                        sheet.select_option("#x", "bytes")
                    shoot(sheet, FOLDER / f"page-{name}-{scheme}.png")
            browser.close()
    finally:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
