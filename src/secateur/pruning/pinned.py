"""Pinned: which channels or branches could not be cut, and what keeps them."""

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
        unit: What they are, where they are no channels: a `branch`.
    """

    operator: str
    path: str
    channels: int
    unit: str = "channel"

    @property
    def counted(self) -> str:
        """How many, in words.

        Example:
            >>> Pinned("softmax", "head", 2).counted, Pinned("relu", "head", 1, "branch").counted
            ('2 channels', '1 branch')
        """
        plural = "es" if self.unit.endswith("ch") else "s"
        return f"{self.channels} {self.unit}{'' if self.channels == 1 else plural}"


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
            f"{one.counted} {'stays' if one.channels == 1 else 'stay'}: "
            f"{one.operator} in {one.path or 'the model'}"
            for one in self
        ]
        return "\n".join([*lines, *([self.note] if self.note else [])]) or "Nothing was pinned."

    def _repr_html_(self) -> str:
        cells: list[list[Cell]] = [[one.counted, one.operator, one.path] for one in self]
        return table(["what stays", "operator", "module"], cells)

    def __getnewargs__(self) -> tuple[object, ...]:
        """Pickled with its note."""
        return tuple(self), self.note
