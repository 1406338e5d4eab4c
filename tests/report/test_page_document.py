"""The page as a file: complete, inert, small."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import StoreError
from secateur.report.page import render, values, write
from secateur.report.page.document import _PLOT_STYLE
from secateur.study.store import Store

BAD = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028${style}"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the texts of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style") and data.strip():
            self.texts.append((self.found[-1][0], data))

    @property
    def policy(self) -> dict[str, str]:
        meta = next(a for tag, a in self.found if a.get("http-equiv"))
        parts = (meta["content"] or "").split("; ")
        return {part.split()[0]: part.partition(" ")[2] for part in parts}


def packed(text: str) -> Any:
    """Both parts of the values together again."""
    first, rest = (_unpacked(text, name) for name in ("values", "rest"))
    if "points" in rest:
        pairs = zip(first["points"], rest.pop("points"), strict=True)
        first["points"] = [one | more for one, more in pairs]
    return first | rest


def _unpacked(text: str, name: str) -> Any:
    held = re.search(rf'id="{name}">([^<]*)<', text)
    assert held is not None
    return json.loads(gzip.decompress(base64.b64decode(held[1])))


def test_the_values_come_back_as_they_went_in() -> None:
    held = {"name": BAD, "n": [1, 2.5, None, "é"]}
    assert packed(render(held)) == held


@pytest.mark.parametrize("live", [False, True])
def test_no_name_becomes_markup(live: bool) -> None:
    plain, hostile = (Elements(render({"name": n}, live=live)) for n in ("a", BAD))
    assert plain.found == hostile.found
    assert not any(name.startswith("on") for _, attrs in plain.found for name in attrs)


def test_nothing_is_loaded() -> None:
    for tag, attributes in Elements(render({})).found:
        assert tag not in ("img", "link", "iframe", "object", "base")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")


@pytest.mark.parametrize("live", [False, True])
def test_the_policy_names_every_script_and_style_by_its_hash(live: bool) -> None:
    page = Elements(render({}, live=live))
    policy = page.policy
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == ("'self'" if live else "'none'")
    assert "unsafe" not in str(policy)
    for kind in ("script", "style"):
        texts = [text for tag, text in page.texts if tag == kind]
        if kind == "script":
            texts = texts[1:-1]  # the first and the last hold values and are not run
        else:
            texts.append(_PLOT_STYLE)
        hashes = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in texts]
        assert policy[f"{kind}-src"].split() == [f"'sha256-{digest}'" for digest in hashes]


def test_only_a_live_page_says_that_it_is() -> None:
    assert Elements(render({})).found[0] == ("html", {"lang": "en", "data-live": "false"})
    assert Elements(render({}, live=True)).found[0][1]["data-live"] == "true"


def test_a_page_is_written_whole_and_the_same_twice(tmp_path: Path) -> None:
    with Store.writing(tmp_path / "run"):
        pass
    store = Store(tmp_path / "run")
    path = write(store)
    assert path == tmp_path / "run" / "report.html"
    first = path.read_bytes()
    assert write(store, tmp_path / "new" / "a.html").read_bytes() == first
    assert packed(first.decode()) == values(store)
    assert len(first) < 1_000_000
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="writing the page"):
        write(store, tmp_path / "file" / "a.html")
    assert path.read_bytes() == first
