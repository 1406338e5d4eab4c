"""Settings as text: a TOML file that somebody wrote, and values that may be anything.

A file may be of any size and depth and in any encoding. What a setting may not be, whatever it is
for, is found here, before it becomes a path, a name or a row of a store.
"""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secateur.errors import SpecError

LARGEST_FILE = 1 << 20
"""Bytes of a study file; one with a thousand levels takes a hundredth of that."""

DEEPEST = 30


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file in UTF-8, with or without a byte-order mark.

    Raises:
        SpecError: It cannot be read, is too large, or is no TOML; line and column are named.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)  # a device might never end
        if len(content) > LARGEST_FILE:
            raise _wrong(
                path,
                f"of more than {LARGEST_FILE:,} bytes",
                "a file of settings",
                "Name the study file, not its data; levels may be tables of patterns.",
            )
        return tomllib.loads(content.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        remedy = "Mend the line named; strings need quotes."
        raise _wrong(path, f"damaged TOML ({error})", "TOML 1.0", remedy) from None
    except UnicodeDecodeError as error:
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        given = "in UTF-16 or UTF-32" if wide else f"unreadable ({error})"
        remedy = "Save it as UTF-8 in your editor."
        raise _wrong(path, given, "a TOML file in UTF-8", remedy) from None
    except OSError as error:
        remedy = "Check the path; `secateur studies` lists the embedded ones."
        given = f"unreadable ({error.strerror or error})"
        raise _wrong(path, given, "a TOML file in UTF-8", remedy) from None
    except RecursionError:
        raise nested(f"reading {path}") from None
    except ValueError as error:  # a number of thousands of digits
        raise _wrong(path, f"no TOML ({error})", "TOML 1.0", "Mend that number.") from None


def check_plain(values: Mapping[Any, Any], source: str) -> None:
    """Refuse settings that are nested without an end, and text that can be no name or path.

    Args:
        values: Tables, lists, words and numbers.
        source: Where they come from, for the message.

    Raises:
        SpecError: Tables lie in each other more than `DEEPEST` deep, or a text has a zero byte or
            half of a surrogate pair in it.

    Example:
        >>> check_plain({"name": "a", "levels": [0.5]}, "the arguments")
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [((), values)]
    while waiting:
        place, value = waiting.pop()
        if len(place) > DEEPEST:
            raise nested(f"reading {source}", place)
        if isinstance(value, Mapping):
            for name in value:
                _check_text(name, place, source)
            waiting += [((*place, str(name)), each) for name, each in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [((*place, str(number)), each) for number, each in enumerate(value)]
        _check_text(value, place, source)


def _check_text(value: object, place: tuple[str, ...], source: str) -> None:
    if not isinstance(value, str) or value.isprintable():
        return
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise SpecError(
            f"reading {source}",
            ".".join(place) or "the name of a setting",
            given=f"{value!r:.60}",
            expected="text, without zero bytes and halves of characters",
            remedy="Mend this setting; files need names in UTF-8.",
        )


def nested(operation: str, place: tuple[str, ...] = ()) -> SpecError:
    """The error of settings that lie in each other too deep."""
    return SpecError(
        operation,
        ".".join(place[:3]) or "the study",
        given="nested without an end",
        expected=f"plain settings, at most {DEEPEST} deep",
        remedy="Give numbers, words, lists and tables.",
    )


def _wrong(path: Path, given: str, expected: str, remedy: str) -> SpecError:
    return SpecError("reading a study", str(path), given=given, expected=expected, remedy=remedy)
