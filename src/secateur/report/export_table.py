"""The points as a file: CSV, JSON, Parquet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from secateur.errors import UnknownNameError, UsageError
from secateur.point import Point
from secateur.report.records import Record, Value, records, schema

_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four in full width
_NEXT_CELL = re.compile(r";(?=[=+\-@])")
"""Where a spreadsheet of some countries begins a cell, and would begin it with a formula."""


def to_csv(points: Iterable[Point], controls: Collection[str] = ()) -> bytes:
    """The records with a head, by RFC 4180 but for plain line ends; empty where nothing is known.

    A float is written with as many digits as it takes to read it back exactly.
    """
    there = tuple(points)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(map(_text, schema(there))), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(record) for record in records(there, controls))
    return text.getvalue().encode()


def _plain(record: Record) -> Record:
    """Booleans as JSON and SQL write them, and no text that a spreadsheet takes for a formula."""
    return {_text(name): _cell(value) for name, value in record.items()}


def _cell(value: Value) -> Value:
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """A leading quote makes it text; a dash alone, a level of nothing, calculates nothing."""
    # Python does not quote a lone carriage return, which many readers take for the end of a row.
    text = _NEXT_CELL.sub(";'", text.replace("\r\n", "\n").replace("\r", "\n"))
    return f"'{text}" if text[:1] in _FORMULA and text[1:] else text


def to_json(points: Iterable[Point], controls: Collection[str] = ()) -> bytes:
    """The records as one JSON array."""
    return (json.dumps(records(points, controls), indent=2, ensure_ascii=False) + "\n").encode()


def to_parquet(points: Iterable[Point], controls: Collection[str] = ()) -> bytes:
    """The records as one Parquet file, every column of a type that does not depend on its values.

    Raises:
        UsageError: pyarrow is missing.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as missing:
        raise UsageError(
            "writing Parquet",
            "pyarrow",
            given="not installed",
            expected="the extra 'parquet'",
            remedy="Run `pip install 'secateur[parquet]'`, or take csv or json.",
        ) from missing
    there = tuple(points)
    kinds: dict[type[Any], Any] = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
    }
    columns = [(name, kinds[kind]) for name, kind in schema(there).items()]
    table = pyarrow.Table.from_pylist(records(there, controls), pyarrow.schema(columns))
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


FORMATS: dict[str, Callable[[Iterable[Point], Collection[str]], bytes]] = {
    "csv": to_csv,
    "parquet": to_parquet,
    "json": to_json,
}


def format_of(path: Path, to: str | None = None) -> str:
    """The format that a path's suffix names, or that was asked for and the suffix does not deny.

    Args:
        path: Where the table is to go.
        to: The format, where it was named.

    Raises:
        UnknownNameError: Nothing names one.
        UsageError: The suffix is that of another.

    Example:
        >>> format_of(Path("points.parquet")), format_of(Path("points.txt"), "json")
        ('parquet', 'json')
    """
    name = path.suffix.removeprefix(".").lower()
    if to is None and name not in FORMATS:
        raise UnknownNameError("table format", name or path.name, FORMATS)
    if to is not None and name in FORMATS and name != to:
        raise UsageError(
            "writing a table",
            str(path),
            given=f"a name for {name}",
            expected=f"one that ends in .{to}, the format that was asked for",
            remedy=f"End it in .{to}, or leave --to out.",
        )
    return to or name
