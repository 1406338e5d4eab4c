"""Whether every number of the story can be found in committed results.

Tables are made of the results anew and must be what stands there. Of what is written by hand every
number has to stand in one of those tables, or in a study file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

NUMBER = re.compile(r"(?<![\w.\-/#])[+-]?\d+(?:[.,]\d+)*(?![\w-])")
"""A number by itself: what belongs to a name (`LeNet-5`, `conv4`) is none."""
SMALL = {str(number) for number in range(13)}
"""Counting words; nobody looks them up."""


def numbers(text: str) -> Iterator[str]:
    """The numbers of a text, without signs and without commas between thousands."""
    for found in NUMBER.findall(re.sub(r"\]\([^)]*\)", "]", text)):
        yield found.lstrip("+-").replace(",", "").rstrip(".")


def known(texts: Iterable[str]) -> set[str]:
    """Every number of some texts, however it stands there."""
    found: set[str] = set()
    for text in texts:
        found.update(re.findall(r"\d+(?:\.\d+)?", text))
    return found | SMALL


def unknown(prose: str, texts: Iterable[str]) -> list[str]:
    """The numbers of a text written by hand that stand in none of the others."""
    there = known(texts)
    return [number for number in numbers(prose) if number not in there]


def studies(folder: Path) -> list[str]:
    """The text of every study file under a folder."""
    return [file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.toml"))]
