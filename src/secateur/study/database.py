"""The database of a store: its tables, and what is refused before anything is read from one.

It may come from somebody else: nothing that its schema or its journal says is run.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from secateur.errors import StoreError
from secateur.foundation.html import plain
from secateur.study.decoding import damaged

FORMAT = 1
FILE = "study.sqlite"
_LONGEST_VALUE = 256 << 20
# What SQLite writes at the end of a journal that names another file, which it may delete.
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")

_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE plan (position INTEGER PRIMARY KEY, digest TEXT NOT NULL) STRICT;
CREATE TABLE runs (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    made_by TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('done', 'failed')),
    reason TEXT NOT NULL,
    result TEXT NOT NULL,
    finished REAL NOT NULL
) STRICT;
CREATE TABLE attempts (
    number INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    outcome TEXT
) STRICT;
CREATE TABLE latencies (digest TEXT PRIMARY KEY, measured TEXT NOT NULL) STRICT;
INSERT INTO facts VALUES ('format', '{FORMAT}');
COMMIT;
"""

_SCHEMA = "SELECT type, name, sql FROM sqlite_master"


def connect(folder: Path, file: str = FILE) -> sqlite3.Connection:
    """The database; nothing that a schema of others says is run by it."""
    _check_journal(folder / f"{file}-journal")
    db = sqlite3.connect(folder / file, timeout=30)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.execute("PRAGMA trusted_schema = OFF")
    return db


def _check_journal(journal: Path) -> None:
    """SQLite plays back a journal that it finds, and deletes the file that one of these names."""
    try:
        with journal.open("rb") as file:
            file.seek(-min(journal.stat().st_size, 8), os.SEEK_END)
            ending = file.read()
    except OSError:
        return
    if ending == _SUPER_JOURNAL:
        raise damaged(journal.name, "a journal that names another file")


def check_tables(folder: Path, db: sqlite3.Connection) -> None:
    """Refuse a database with anything in it that secateur does not make: views, triggers, ..."""
    found = set(db.execute(_SCHEMA))
    if found != _schema():
        _check_no_newer(folder, db, found)
        odd = sorted(str(entry[1]) for entry in found ^ _schema())
        raise unusable(folder, f"{plain(', '.join(odd), 200)} is not as secateur makes it")


def _check_no_newer(folder: Path, db: sqlite3.Connection, found: set[tuple[str, str, str]]) -> None:
    """A later version may have other tables; facts are read only where their table is ours."""
    if not {entry for entry in _schema() if entry[1] == "facts"} <= found:
        return
    rows = db.execute("SELECT value FROM facts WHERE name = 'format'").fetchall()
    written = str(rows[0][0]) if rows else ""
    if written.isdecimal() and int(written[:9]) > FORMAT:
        raise other_format(folder, written)


class OtherFormatError(StoreError):
    """A store that another version of secateur wrote."""


def other_format(folder: Path, written: str | None) -> OtherFormatError:
    """The error about a store that another version of secateur wrote."""
    return OtherFormatError(
        "opening a run",
        str(folder),
        given=f"written in format {plain(str(written), 20)}",
        expected=f"format {FORMAT}",
        remedy="Use the version of secateur that wrote it.",
    )


@cache
def _schema() -> frozenset[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(_TABLES)
        return frozenset(db.execute(_SCHEMA))


def make_tables(folder: Path) -> None:
    """Make the tables, all or none, where there are none."""
    with closing(connect(folder)) as db:
        if db.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            create_tables(db)


def create_tables(db: sqlite3.Connection) -> None:
    """Make the tables in an empty database, all or none."""
    db.executescript(_TABLES)


def unusable(folder: Path, error: object) -> StoreError:
    """The error about a database that is damaged, or not as secateur makes it."""
    return StoreError(
        "opening a run",
        str(folder / FILE),
        given=f"unusable ({error})",
        expected="a SQLite file of secateur",
        remedy="Choose another --out, or move this folder away.",
    )
