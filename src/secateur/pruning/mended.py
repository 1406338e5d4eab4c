"""Mended: what the kinds of repair have changed, and what they have left alone and why."""

from __future__ import annotations

from dataclasses import dataclass

from secateur.foundation.html import Cell, table


@dataclass(frozen=True)
class Mended:
    """What one kind of repair did.

    Attributes:
        kind: Its name.
        layers: The modules that it changed.
        left: The modules that it left alone, each with the reason.
    """

    kind: str
    layers: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Reason -> the modules that were left alone for it."""
        found: dict[str, list[str]] = {}
        for layer, reason in self.left:
            found.setdefault(reason, []).append(layer or "the model")
        return found


class Repaired(tuple[Mended, ...]):
    """What every kind of repair did, in the order in which they were done.

    Example:
        >>> print(Repaired([Mended("bias", ("conv",), (("head", "it has no bias"),))]))
        bias: 1 layer mended; left alone: head (it has no bias)
    """

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(_in_words(one) for one in self) or "Nothing was asked for."

    def _repr_html_(self) -> str:
        cells: list[list[Cell]] = [
            [one.kind, len(one.layers), "; ".join(_left_in_words(one))] for one in self
        ]
        return table(["repair", "layers mended", "left alone"], cells)


def _in_words(one: Mended) -> str:
    count = len(one.layers)
    left = "; ".join(_left_in_words(one))
    return f"{one.kind}: {count} {'layer' if count == 1 else 'layers'} mended" + (
        f"; left alone: {left}" if left else ""
    )


def _left_in_words(one: Mended) -> list[str]:
    return [
        f"{', '.join(layers[:3])}{', ...' * (len(layers) > 3)} ({reason})"
        for reason, layers in one.reasons.items()
    ]
