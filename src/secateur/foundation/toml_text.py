"""Settings as the text of a TOML file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(values: Mapping[str, Any]) -> str:
    """Plain values as TOML 1.0: tables as sections, tables within lists as inline ones.

    Args:
        values: Names -> words, numbers, true, false, lists, tables. What is None is left out, for
            TOML has no word for it.

    Raises:
        TypeError: A value is none of these.

    Example:
        >>> print(toml_text({"name": "a", "training": {"rate": 0.1, "steps": [1, 2]}}), end="")
        name = "a"
        <BLANKLINE>
        [training]
        rate = 0.1
        steps = [1, 2]
    """
    return "\n".join(_section(values, ())).lstrip("\n") + "\n"


def _section(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    tables = {name: one for name, one in values.items() if isinstance(one, Mapping)}
    plain = {n: one for n, one in values.items() if n not in tables and one is not None}
    if path and (plain or not tables):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for name, one in plain.items():
        yield f"{_key(name)} = {_value(one)}"
    for name, table in tables.items():
        yield from _section(table, (*path, name))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    """A basic string: JSON's, but for the one control that JSON lets stand."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        pairs = (f"{_key(n)} = {_value(one)}" for n, one in value.items() if one is not None)
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    raise TypeError(f"{type(value).__name__} has no form in TOML")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return repr(value)  # 1e-05 and 1e+16 are TOML's, too
