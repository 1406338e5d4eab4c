"""Pinned: which channels could not be cut, and what keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from secateur.foundation.html import Cell, table


@dataclass(frozen=True, slots=True)
class Pinned:
    """Channels that one operator keeps from being cut.

    Attributes:
        operator: The operator, and why where its name does not say.
        path: The module in which it ran.
        channels: How many channels it holds that no earlier operator held.
    """

    operator: str
    path: str
    channels: int


class Report(tuple[Pinned, ...]):
    """What was pinned, and why; it prints as one line each.

    Args:
        pinned: The entries.
        note: What else there is to know.

    Example:
        >>> print(Report([Pinned("softmax", "head", 10)]))
        10 channels stay: softmax in head
    """

    note: str

    def __new__(cls, pinned: Iterable[Pinned] = (), note: str = "") -> Report:
        """A tuple with a note."""
        made = super().__new__(cls, pinned)
        made.note = note
        return made

    def __str__(self) -> str:
        lines = [
            f"{one.channels} {'channel stays' if one.channels == 1 else 'channels stay'}: "
            f"{one.operator} in {one.path or 'the model'}"
            for one in self
        ]
        return "\n".join([*lines, *([self.note] if self.note else [])]) or "Nothing was pinned."

    def _repr_html_(self) -> str:
        cells: list[list[Cell]] = [[one.channels, one.operator, one.path] for one in self]
        return table(["channels that stay", "operator", "module"], cells)

    def __getnewargs__(self) -> tuple[object, ...]:
        """Pickled with its note."""
        return tuple(self), self.note
