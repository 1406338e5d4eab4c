"""Salvage: what can still be read of a damaged store, and a new one that holds it.

Rows are read one by one, so that a damaged page costs the rows that lie on it and no others. A row
that is there and says nothing sensible is left behind, too: its run is made again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from secateur.errors import StoreError
from secateur.foundation.html import plain
from secateur.study.damaged_pages import Row, new_schema, rows_of, scattered
from secateur.study.database import (
    FILE,
    FORMAT,
    OtherFormatError,
    check_tables,
    connect,
    other_format,
)
from secateur.study.decoding import (
    decode_fact,
    decode_guess,
    decode_point,
    decode_settings,
    decode_steps,
    decode_sum,
    decode_training,
)
from secateur.study.folder import checkpoint_name
from secateur.study.int8_note import FACT as INT8
from secateur.study.int8_note import check_note, read_note

TABLES = {
    "facts": ("name", "value"),
    "plan": ("position", "digest"),
    "runs": ("digest", "kind", "title", "made_by", "status", "reason", "result", "finished"),
    "attempts": ("number", "digest", "started", "ended", "outcome"),
    "latencies": ("digest", "measured"),
}
_FACTS = ("settings", "data", "steps", "threads", "format", INT8)
_LISTED = 5
_MEASURED = ("base", "point")


@dataclass
class Salvage:
    """What could be read of a store.

    Attributes:
        rows: By table, those that can be read and make sense.
        lost: By table, what is known of each row that cannot: a title where it has one.
        unread: How many rows lie where nothing can be read; None where that is not known.
    """

    rows: dict[str, list[Row]] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)
    torn: list[str] = field(default_factory=list)

    @property
    def points(self) -> list[str]:
        """Titles of the measured points that can be saved."""
        return [row[2] for row in self.rows.get("runs", ()) if _is_point(row)]

    @property
    def int8(self) -> int:
        """How many of them can be saved as they are in INT8, too."""
        there = {row[0] for row in self.rows.get("runs", ()) if _is_point(row)}
        notes = (row[1] for row in self.rows.get("facts", ()) if row[0] == INT8)
        return sum(entry["source"] in there for note in notes for entry in read_note(note))

    @property
    def whole(self) -> bool:
        """Whether nothing is lost."""
        return not self.torn and not any(self.lost.values())

    def told(self) -> str:
        """What can be saved, in words."""
        lost = self.lost.get("runs", [])
        more = f" and {len(lost) - _LISTED} more" if len(lost) > _LISTED else ""
        gone = f"; lost: {', '.join(lost[:_LISTED])}{more}" if lost else ""
        torn = "; some rows lie where nothing can be read" if "runs" in self.torn else ""
        small = f", {self.int8} of them in INT8, too" if self.int8 else ""
        again = "; those in INT8 are lost: `secateur quantise` measures them again"
        without = again if INT8 in self.lost.get("facts", ()) else ""
        return f"{len(self.points)} points can be saved{small}{gone}{torn}{without}"


def read_salvage(folder: Path) -> Salvage:
    """Read every row of a store that can be read.

    Args:
        folder: A run folder.

    Raises:
        StoreError: Nothing can be read: it is no database, or not one of secateur.
    """
    try:
        content = (folder / FILE).read_bytes()
        with closing(_opened(folder, content)) as db:
            found = _read(db, content)
    except (OSError, sqlite3.Error) as error:
        raise _nothing(folder, error) from None
    written = next((str(row[1]) for row in found.rows["facts"] if row[0] == "format"), None)
    if written not in (None, str(FORMAT)):
        raise other_format(folder, written)
    return found


def _opened(folder: Path, content: bytes) -> sqlite3.Connection:
    """The database, or a copy in memory whose first page, that of the schema, is a new one."""
    try:
        db = connect(folder)
        # Else a file that was cut off is not read at all.
        db.execute("PRAGMA writable_schema = ON")
        check_tables(folder, db)
    except OtherFormatError:
        raise
    except (sqlite3.Error, StoreError):
        db = sqlite3.connect(":memory:")
        db.deserialize(new_schema(content))
    return db


def _read(db: sqlite3.Connection, content: bytes) -> Salvage:
    found = Salvage()
    for table, columns in TABLES.items():
        rows, torn = rows_of(db, table, columns)
        if torn:
            found.torn.append(table)
            # Other tables' rows look like theirs, and the next sweep makes both anew.
            if table not in ("plan", "attempts"):
                rows += _known(table, scattered(content, table, columns))
        judged = [(row, _why_not(table, row)) for row in dict.fromkeys(rows)]
        found.rows[table] = _one_each(table, [row for row, why in judged if not why])
        found.lost[table] = [_title(table, row) for row, why in judged if why]
    if "plan" in found.torn:
        _plan_by_runs(found)
    return found


def _known(table: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Of rows that may be another table's, those that may be this one's."""
    return (row for row in rows if table != "facts" or row[0] in _FACTS)


def _one_each(table: str, rows: list[Row]) -> list[Row]:
    """Of two rows of one run, the later one that is done: a page may hold what was replaced."""
    if table != "runs":
        return rows
    ordered = sorted(rows, key=lambda row: (row[4] == "done", row[-1]))
    return list({row[0]: row for row in ordered}.values())


def _plan_by_runs(found: Salvage) -> None:
    """A plan that cannot be read whole is that of all runs, until the next sweep writes its own."""
    runs = sorted(found.rows["runs"], key=lambda row: row[-1])
    known = {row[1] for row in found.rows["plan"]}
    last = max((row[0] for row in found.rows["plan"]), default=0)
    new = [row[0] for row in runs if row[0] not in known]
    found.rows["plan"] += list(enumerate(new, start=last + 1))


def _is_point(row: Row) -> bool:
    return row[4] == "done" and row[1] in _MEASURED


def _why_not(table: str, row: Row) -> str:
    """Why a row makes no sense; empty if it does."""
    try:
        if table == "facts":
            _check_fact(*row)
        elif table == "runs":
            _check_run(row)
        elif table == "latencies":
            if not isinstance(decode_fact(row[0], row[1]), list):
                raise TypeError("no list")
        elif table == "plan":
            checkpoint_name(_text(row[1]))
    except (StoreError, TypeError, ValueError) as error:
        return str(error)
    return ""


def _check_fact(name: object, value: object) -> None:
    checks: Mapping[str, Callable[[str], object]] = {
        "settings": decode_settings,
        "data": decode_guess,
        "steps": decode_steps,
        INT8: check_note,
    }
    check = checks.get(_text(name))
    if check:
        check(_text(value))
    elif name == "threads":
        decode_fact("threads", _text(value))


def _check_run(row: Row) -> None:
    digest, kind, title, made_by, status, reason, result, _ = row
    name = checkpoint_name(_text(digest))
    for word in (kind, title, reason):
        _text(word)
    decode_training(digest, _text(made_by), _text(result))
    if status != "done":
        return
    held = decode_fact(digest, result)
    decode_sum(digest, held.get("sha256"))
    if kind in _MEASURED:
        decode_point(digest, result, None, name)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _title(table: str, row: Row) -> str:
    word = row[2] if table == "runs" else row[0]
    return plain(str(word), 80)


def with_remedy(folder: Path, error: StoreError) -> StoreError:
    """The error about a damaged store, which says what can be saved and by which command."""
    if isinstance(error, DamagedStoreError):
        return error
    try:
        told = f"{read_salvage(folder).told()}: `secateur doctor {folder} --repair`."
    except StoreError:
        told = "No point can be saved from it; choose another --out, or move this folder away."
    fields: Mapping[str, str] = {name: getattr(error, name) for name in ("given", "expected")}
    return DamagedStoreError(error.operation, error.subject, **fields, remedy=told)


class DamagedStoreError(StoreError):
    """A store that is damaged; the remedy says which points can be saved and how."""


def _nothing(folder: Path, error: object) -> StoreError:
    return StoreError(
        "reading a damaged store",
        str(folder / FILE),
        given=f"unusable ({error})",
        expected="a SQLite file of secateur",
        remedy="Choose another --out, or move this folder away.",
    )
