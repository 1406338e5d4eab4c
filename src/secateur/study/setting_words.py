"""Setting words: two settings of one thing, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from secateur.foundation.html import plain

_LONGEST = 80
_ABSENT = object()


def difference(one: object, other: object) -> tuple[str, str]:
    """A name and its options, twice, each with only what the other has not.

    Args:
        one: A table of `name` and `options`, as settings hold it.
        other: Likewise.

    Example:
        >>> build = {"name": "mynets:build", "options": {"width": 8, "depth": 2}}
        >>> difference(build, {**build, "options": {"width": 16, "depth": 2}})
        ("'mynets:build' with width = 8", "'mynets:build' with width = 16")
        >>> difference(build, {"name": "conv4", "options": {}})
        ("'mynets:build'", "'conv4'")
        >>> difference({"name": "conv4"}, {"name": "conv4", "options": {"width": 8}})
        ("'conv4' without width", "'conv4' with width = 8")
    """
    names = name_in(one), name_in(other)
    if names[0] != names[1]:
        return names
    options = _options_of(one), _options_of(other)
    differing = [
        name
        for name in sorted({*options[0], *options[1]})
        if options[0].get(name, _ABSENT) != options[1].get(name, _ABSENT)
    ]
    told = [_with(options[place], differing) for place in (0, 1)]
    return f"{names[0]}{told[0]}", f"{names[1]}{told[1]}"


def name_in(setting: object) -> str:
    """The name that a setting is known by, in quotes."""
    name = setting.get("name") if isinstance(setting, Mapping) else setting
    return repr(plain(str(name), _LONGEST))


def _options_of(setting: object) -> Mapping[str, Any]:
    found = setting.get("options") if isinstance(setting, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _with(options: Mapping[str, Any], names: list[str]) -> str:
    words = {plain(name, _LONGEST): options[name] for name in names if name in options}
    there = [f"{name} = {_value(value)}" for name, value in words.items()]
    gone = [plain(name, _LONGEST) for name in names if name not in options]
    with_ = f" with {', '.join(there)}" if there else ""
    return with_ + (f"{' and' if there else ''} without {', '.join(gone)}" if gone else "")


def _value(value: object) -> str:
    return plain(repr(value), _LONGEST)
