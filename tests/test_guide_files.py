"""Every file that the guide for readers of the code names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "secateur"
PAGES = [
    *("docs/architecture.md", "CONTRIBUTING.md", "SECURITY.md", "RELEASE.md", "docs/stability.md"),
    *("src/secateur/channels/README.md", "src/secateur/runtime/kernels/README.md"),
    "src/secateur/study/README.md",
]


def named(text: str) -> set[str]:
    """Paths in code spans and in links."""
    spans = re.findall(r"`([\w./-]+)`", text) + re.findall(r"\]\(([\w./-]+)\)", text)
    return {span for span in spans if re.search(r"\.(py|md|c|h|js|toml|cff|yml)$|/$", span)}


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str) -> None:
    here = (ROOT / page).parent
    found = named((ROOT / page).read_text())
    assert found
    places = (here, ROOT, PACKAGE, ROOT / "docs")
    assert [one for one in found if not any((place / one).exists() for place in places)] == []


def test_a_missing_file_is_seen() -> None:
    assert named("see `pruning/gone.py` and [this](docs/gone.md)") == {
        "pruning/gone.py",
        "docs/gone.md",
    }


def test_every_room_is_in_the_table() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {
        path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert [room for room in sorted(rooms) if f"`{room}/`" not in text and room != "verbs"] == []
