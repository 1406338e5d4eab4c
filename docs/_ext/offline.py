"""No page may ask another machine for anything: the build fails if one would."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
_IN_STYLES = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)")


class _Requests(HTMLParser):
    """The addresses that a browser asks for when it opens a page; links are not among them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(_FETCHED.get(tag, "")) or ""
        if address.startswith(("http:", "https:", "//")):
            self.found.append(address)


def requests_of(page: str) -> list[str]:
    """What a page would fetch from elsewhere."""
    parser = _Requests()
    parser.feed(page)
    return parser.found


def requests_in(folder: Path) -> list[str]:
    """What the pages and styles of a folder would fetch from elsewhere, with their names."""
    pages = [
        (path, requests_of(path.read_text(encoding="utf-8")))
        for path in sorted(folder.rglob("*.html"))
    ]
    styles = [
        (path, _IN_STYLES.findall(path.read_text(encoding="utf-8")))
        for path in sorted(folder.rglob("*.css"))
    ]
    return [
        f"{path.relative_to(folder)} asks for {address}"
        for path, addresses in (*pages, *styles)
        for address in addresses
    ]


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.name == "html":
        found = requests_in(Path(app.outdir))
        if found:
            raise ExtensionError("the guide must work offline: " + "; ".join(found[:5]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Look at the pages once they are written."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True}
