"""JSON of others: how much of it there may be, and what in it has two meanings or none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from secateur.artifact.error import damaged

MOST_VALUES = 1 << 20
"""In one text: each takes some 50 to 100 bytes of memory, however short it is written."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_MARKS = re.compile(r"[,:\[{]")


def check_amount(path: Path, text: str | bytes) -> None:
    """Refuse JSON of more values than any model needs, before memory is taken for them.

    Args:
        path: The file, for the message.
        text: The JSON.

    Raises:
        ArtifactError: There are more than `MOST_VALUES`.

    Example:
        >>> check_amount(Path("x"), '{"a": [1, 2]}')
    """
    if len(text) <= MOST_VALUES:
        return
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    for count, _ in enumerate(_MARKS.finditer(_STRING.sub("", text))):
        if count >= MOST_VALUES:
            raise damaged(path, "a header of more values", f"at most {MOST_VALUES:,}")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a JSON object, as `json.loads` takes it for its `object_pairs_hook`.

    Raises:
        ValueError: A name is there twice: readers differ in which of the two they believe.
    """
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name twice")
    return fields


def is_text(word: str) -> bool:
    r"""Whether a text can be written down: JSON may hold one half of a surrogate pair.

    Example:
        >>> is_text("a"), is_text("\ud800")
        (True, False)
    """
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
