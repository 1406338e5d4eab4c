"""The seal of a row: a sum of its text, so that one flipped bit is no other number.

It stands in the text itself, as the last name of its JSON object, where readers that know nothing
of it pass it by. A row of an earlier version has none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_SEAL = re.compile(r'(?:, )?"seal": "([0-9a-f]{64})"\}\Z')


def sealed(values: Mapping[str, Any]) -> str:
    """Values as JSON that ends in the SHA-256 of the rest.

    Example:
        >>> text = sealed({"n": 1})
        >>> text[:21], json.loads(text)["n"], is_broken(text), is_broken(text.replace("1", "3", 1))
        ('{"n": 1, "seal": "e5d', 1, False, True)
    """
    text = json.dumps({name: value for name, value in values.items() if name != "seal"})
    comma = ", " if text != "{}" else ""
    return f'{text[:-1]}{comma}"seal": "{_sum(text)}"}}'


def is_broken(text: object) -> bool:
    """Whether a text is sealed and is not as it was."""
    found = _SEAL.search(text[-100:]) if isinstance(text, str) else None
    if found is None or not isinstance(text, str):
        return False
    return _sum(text[: len(text) - len(found[0])] + "}") != found[1]


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
