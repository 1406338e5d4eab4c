"""A level: one sparsity for each part of a method, and each one number or a table of patterns.

A table says which share of which layers is to go: `{"features.*": 0.5, "classifier": 0.9}`. It is
held as pairs in the order written, for the first pattern that matches a layer counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

from secateur.foundation.target import Target, is_target, parse_target

Shares = tuple[tuple[str, float], ...]
"""Pattern -> share of the weights; the first that matches counts."""
Share = float | Shares
"""What a cut takes: a number, or a table of patterns."""
Sparsity = Share | Target
Levels = tuple[Sparsity, ...]

PATTERN = re.compile(r"[A-Za-z0-9_.*?\[\]!-]{1,200}")
"""What a pattern in a study file may be made of; a level in words needs the other signs."""
ENDS = {":first": 0, ":last": -1}
"""Patterns of place: the layer of the network's first prunable weight, and that of its last."""

_PARTS, _ROWS, _SHARE = "/", ";", "="
_NUMBER = "a number from 0 up to, but not including, 1"


def parse_level(value: object) -> Levels:
    """A level as its sparsities.

    Args:
        value: `0.5`, `"0.5"`, `"0.3/0.9"`, `[0.3, 0.9]`, a table of patterns, or one in words:
            `"features.*=0.5;classifier=0.9"`; or a target: `{"macs": 0.5}`, `"bytes=200k"`.

    Raises:
        ValueError: It is not made of numbers from 0 up to, but not including, 1, and of patterns.

    Example:
        >>> parse_level("0.3/0.9")
        (0.3, 0.9)
        >>> parse_level({"features.*": 0.5, "fc": 0.9})
        ((('features.*', 0.5), ('fc', 0.9)),)
    """
    if is_target(value):
        return (parse_target(value),)
    parts = value.split(_PARTS) if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        parts = [parts]
    if not parts:
        raise ValueError("at least one sparsity")
    if len(parts) == 1 and is_target(parts[0]):
        return (parse_target(parts[0]),)
    return tuple(_part(part) for part in parts)


def target_of(level: Levels) -> Target | None:
    """The target that a level asks for; None where it asks for sparsities."""
    return level[0] if len(level) == 1 and isinstance(level[0], Target) else None


def shares_of(level: Levels) -> tuple[Share, ...]:
    """The sparsities of a level that asks for no target."""
    return tuple(part for part in level if not isinstance(part, Target))


def parse_shares(value: object, *, highest: bool = False) -> Shares:
    """A table of patterns and shares, as pairs in its order.

    Args:
        value: A table, its pairs, the same in words (`"conv1=0.5;*=0.9"`), or one number for all
            layers.
        highest: Whether the shares are the highest that may go, so that 1 is one.

    Raises:
        ValueError: A pattern or a share is none, a pattern is there twice, or there is none.

    Example:
        >>> parse_shares(0.9), parse_shares({"conv1": 0.5, "*": 0.9})
        ((('*', 0.9),), (('conv1', 0.5), ('*', 0.9)))
    """
    if isinstance(value, str) and _SHARE in value:
        value = [one.split(_SHARE) for one in value.split(_ROWS)]
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, list | tuple):
        pairs = [_pair(one) for one in value]
    else:
        pairs = [("*", value)]
    if not pairs:
        raise ValueError(f"for some pattern of layers {_NUMBER}")
    shares = tuple((parse_pattern(name), _share(share, highest)) for name, share in pairs)
    if len({name for name, _ in shares}) != len(shares):
        raise ValueError("each pattern once")
    return shares


def parse_pattern(value: object) -> str:
    """A pattern of names; of a class its name.

    Raises:
        ValueError: It is none.

    Example:
        >>> parse_pattern("features.*")
        'features.*'
    """
    name = value.__name__ if isinstance(value, type) else value
    if isinstance(name, str) and is_pattern(name):
        return name
    raise ValueError(
        "a name of a layer or a weight, a glob over such names or a class of layers: of letters, "
        f"digits and _ . * ? [ ] ! -; or {' or '.join(ENDS)}"
    )


def is_pattern(word: str) -> bool:
    """Whether a word is a pattern of names or of a place.

    Example:
        >>> is_pattern("features.*"), is_pattern(":last"), is_pattern("a/b")
        (True, True, False)
    """
    return word in ENDS or PATTERN.fullmatch(word) is not None


def parse_patterns(value: object) -> tuple[str, ...]:
    """One pattern or several, each once, in a fixed order: none of them comes first.

    Raises:
        ValueError: One of them is none.

    Example:
        >>> parse_patterns("fc"), parse_patterns(["fc", "conv1", "fc"])
        (('fc',), ('conv1', 'fc'))
    """
    several = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return tuple(sorted({parse_pattern(one) for one in several}))


def order(level: Levels) -> tuple[tuple[float, str], ...]:
    """What levels are sorted by: the mean of what each part asks for.

    Example:
        >>> sorted([((("a", 0.8), ("b", 0.6)),), (0.5,), (0.9,)], key=order)[1]
        ((('a', 0.8), ('b', 0.6)),)
    """
    return tuple(_key(part) for part in level)


def _key(part: Sparsity) -> tuple[float, str]:
    if isinstance(part, Target):
        return -part.limit, part.cost  # less is asked of a net by a higher limit
    return (part, "") if isinstance(part, float) else _mean(part)


def _mean(shares: Shares) -> tuple[float, str]:
    return math.fsum(share for _, share in shares) / len(shares), repr(shares)


def _part(value: object) -> Sparsity:
    table = isinstance(value, str) and _SHARE in value
    if table or isinstance(value, Mapping | list | tuple):
        return parse_shares(value)
    return _share(value)


def _pair(value: object) -> tuple[object, object]:
    if isinstance(value, list | tuple) and len(value) == 2:
        return value[0], value[1]
    raise ValueError("pairs of a pattern and its share")


def _share(value: object, highest: bool = False) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):  # no number, or one of hundreds of digits
            number = math.nan
        # An underscore is a separator to `float`; adding 0 turns -0.0, of another digest, into 0.
        if (0 <= number < 1 or (highest and number == 1)) and "_" not in str(value):
            return number + 0.0
    raise ValueError("a number from 0 to 1" if highest else _NUMBER)


Level = Annotated[Levels, BeforeValidator(parse_level)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(parse_patterns)]
Highest = Annotated[Shares, BeforeValidator(lambda value: parse_shares(value, highest=True))]
