"""INT8 note: the store's fact about quantised points, as entries that were checked one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from secateur.study.decoding import damaged, decode_fact, decode_point

FACT = "int8"
WHAT = "the note of its INT8 points"
_FIELDS = ("source", "result", "latency", "beside")

Entry = Mapping[str, Any]


def int8_digest(source: str) -> str:
    """The digest of what a point is once it is quantised.

    Args:
        source: The point's own digest.
    """
    return hashlib.sha256(f"int8 {source}".encode()).hexdigest()


def read_note(text: str | None) -> list[Entry]:
    """The entries of the note, whose form alone is checked; none where it was never written.

    Args:
        text: The fact.

    Raises:
        StoreError: It is no list of entries.

    Example:
        >>> read_note(None)
        []
    """
    held = decode_fact(FACT, text)
    if held is None:
        return []
    if not isinstance(held, list) or not all(map(_is_entry, held)):
        raise damaged(WHAT, "no list of points")
    return held


def check_note(text: str | None) -> None:
    """Read every point of the note.

    Args:
        text: The fact.

    Raises:
        StoreError: It is no note, or one of its points is damaged.
    """
    for entry in read_note(text):
        decode_point(int8_digest(entry["source"]), entry["result"], entry["latency"], "")


def _is_entry(entry: object) -> bool:
    return isinstance(entry, Mapping) and all(isinstance(entry.get(n), str) for n in _FIELDS)
