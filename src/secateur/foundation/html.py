"""Words of others as text and never as markup: in a notebook, on a terminal, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

Cell = str | int | float

_TABLE = "border-collapse:collapse;margin:.5em 0;font-variant-numeric:tabular-nums"
_CELL = "padding:.15em .6em;text-align:{};vertical-align:top"
# Of the reader's own ink, so that a dark notebook stays readable.
_HEAD = "border-bottom:1px solid currentColor;padding:.15em .6em;text-align:{};font-weight:600"


_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~$&-])")


def plain(text: str, longest: int | None = None) -> str:
    r"""Text of others on one line: nothing in it moves a cursor, hides, or turns the line around.

    Line ends and tabs become spaces; every other character that cannot be printed (controls,
    escape sequences, marks of direction, halves of a pair) becomes a replacement character.

    Args:
        text: From a file, a store, an exception.
        longest: Characters to keep; all if None.

    Example:
        >>> plain("a\x1b[31m\nb")
        'a�[31m b'
    """
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    return "".join(map(_printable, text))


def _printable(letter: str) -> str:
    if letter.isprintable() or letter == "\N{NO-BREAK SPACE}":
        return letter
    return " " if letter.isspace() else "\N{REPLACEMENT CHARACTER}"


def markdown(text: str) -> str:
    r"""Text of others for a place where Markdown is read: no link, no image, no markup of its own.

    Example:
        >>> print(markdown("[a](b) <i>"))
        \[a\]\(b\) \<i\>
    """
    return _MARKDOWN.sub(r"\\\1", plain(text))


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    caption: str = "",
    bold: Iterable[int] = (),
    faint: Iterable[int] = (),
) -> str:
    """A table; numbers stand to the right, integers with commas.

    Args:
        heads: One heading a column.
        rows: As many cells each.
        caption: A line above it.
        bold: Places of rows to stress.
        faint: Places of rows to draw lighter.

    Example:
        >>> text = table(["layer", "kept"], [["<script>", 1234]])
        >>> "<script>" in text, "&lt;script&gt;" in text, "1,234" in text
        (False, True, True)
    """
    body = [list(row) for row in rows]
    numeric = [
        bool(body) and all(isinstance(row[place], int | float) for row in body)
        for place in range(len(heads))
    ]
    strong, light = set(bold), set(faint)
    above = f'<caption style="text-align:left">{escape(caption)}</caption>' if caption else ""
    head = "".join(
        f'<th scope="col" style="{_HEAD.format(_side(right))}">{escape(name)}</th>'
        for name, right in zip(heads, numeric, strict=True)
    )
    lines = "".join(
        f'<tr style="{_weight(place in strong, place in light)}">{_cells(row, numeric)}</tr>'
        for place, row in enumerate(body)
    )
    parts = f"{above}<thead><tr>{head}</tr></thead><tbody>{lines}</tbody>"
    return f'<table style="{_TABLE}">{parts}</table>'


def _cells(row: Sequence[Cell], numeric: Sequence[bool]) -> str:
    return "".join(
        f'<td style="{_CELL.format(_side(right))}">{escape(_text(cell))}</td>'
        for cell, right in zip(row, numeric, strict=True)
    )


def _side(right: bool) -> str:
    return "right" if right else "left"


def _weight(strong: bool, light: bool) -> str:
    return "font-weight:600" * strong + "opacity:.7" * light


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.4f}"


def paragraph(text: str) -> str:
    """A line of text.

    Example:
        >>> paragraph("a < b")
        '<p>a &lt; b</p>'
    """
    return f"<p>{escape(text)}</p>"
