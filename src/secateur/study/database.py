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

# What drivers of a shared folder tell each other; of no use once none is there.
_DRIVERS = """
CREATE TABLE drivers (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    born TEXT NOT NULL,
    beats INTEGER NOT NULL
) STRICT;
CREATE TABLE claims (digest TEXT PRIMARY KEY, driver TEXT NOT NULL) STRICT;
CREATE TABLE endings (
    number INTEGER PRIMARY KEY, digest TEXT NOT NULL, driver TEXT NOT NULL
) STRICT;
"""
_DRIVERS_NAMES = ("drivers", "claims", "endings")

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
    if found not in (_schema(), _schema(_DRIVERS)):
        _check_no_newer(folder, db, found)
        wrong = (found - _schema(_DRIVERS)) | (_schema() - found)
        odd = sorted(str(entry[1]) for entry in wrong or found ^ _schema(_DRIVERS))
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
def _schema(more: str = "") -> frozenset[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(_TABLES + more)
        return frozenset(db.execute(_SCHEMA))


def make_tables(folder: Path) -> None:
    """Make the tables, all or none, where there are none; several may try at the same time."""
    with closing(connect(folder)) as db:
        if _is_empty(db):
            try:
                create_tables(db)
            except sqlite3.OperationalError:
                db.rollback()
                if _is_empty(db):
                    raise


def _is_empty(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def create_tables(db: sqlite3.Connection) -> None:
    """Make the tables in an empty database, all or none."""
    db.executescript(_TABLES)


def make_drivers_tables(db: sqlite3.Connection) -> None:
    """Make the tables of a shared folder where there are none, within a transaction."""
    if "drivers" not in _names(db):
        for statement in _DRIVERS.split(";\n"):
            db.execute(statement)


def drop_drivers_tables(folder: Path) -> None:
    """Take the tables of a shared folder away again, where there are some and no driver is."""
    with closing(connect(folder)) as db:
        if not _names(db).isdisjoint(_DRIVERS_NAMES):
            drops = "".join(f"DROP TABLE IF EXISTS {name};" for name in _DRIVERS_NAMES)
            db.executescript(f"BEGIN IMMEDIATE;{drops}COMMIT;")


def _names(db: sqlite3.Connection) -> set[str]:
    return {str(name) for (name,) in db.execute("SELECT name FROM sqlite_master")}


def unusable(folder: Path, error: object) -> StoreError:
    """The error about a database that is damaged, or not as secateur makes it."""
    return StoreError(
        "opening a run",
        str(folder / FILE),
        given=f"unusable ({error})",
        expected="a SQLite file of secateur",
        remedy="Choose another --out, or move this folder away.",
    )
