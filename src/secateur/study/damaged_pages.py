"""Damaged pages: the rows of a table of SQLite that can still be read, page by page."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

from secateur.study.database import create_tables

_MOST = 1_000_000
_PAGE = 4096
_MOST_PAGES = 5000
_LEAF = b"\r"  # how a page of rows begins
# In the header: how many pages there are; where the free ones begin, and how many.
_COUNT, _FREE = slice(28, 32), slice(32, 40)

Row = tuple[Any, ...]


def new_schema(content: bytes) -> bytes:
    """A database: the pages of a file, behind the first page of an empty store.

    Every store is made by the same statements, so that its tables begin on the same pages.
    """
    with closing(sqlite3.connect(":memory:")) as empty:
        create_tables(empty)
        first = bytearray(empty.serialize()[:_PAGE])
    pages = len(content) // _PAGE
    first[_COUNT] = pages.to_bytes(4, "big")
    first[_FREE] = bytes(8)
    return bytes(first) + content[_PAGE : pages * _PAGE]


def rows_of(db: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> tuple[list[Row], bool]:
    """The rows of a table, and whether some could not be read."""
    chosen = f"SELECT {', '.join(columns)} FROM {table}"  # names of ours
    with suppress(sqlite3.Error):
        return db.execute(f"{chosen} ORDER BY rowid").fetchall(), False
    known = sorted(_row_numbers(db, table, columns[0]))
    if known and known[-1] - known[0] < _MOST:
        known = list(range(known[0], known[-1] + 1))
    rows = []
    for number in known:
        with suppress(sqlite3.Error):
            rows += db.execute(f"{chosen} WHERE rowid = ?", (number,)).fetchall()
    return rows, True


def _row_numbers(db: sqlite3.Connection, table: str, key: str) -> set[int]:
    """From both ends, and by the index: up to the page that cannot be read."""
    found: set[int] = set()
    for by in ("rowid", key):
        for way in ("ASC", "DESC"):
            with suppress(sqlite3.Error):
                query = f"SELECT rowid FROM {table} ORDER BY {by} {way}"
                for (number,) in db.execute(query):
                    found.add(int(number))
    return found


def scattered(content: bytes, table: str, columns: tuple[str, ...]) -> Iterator[Row]:
    """Rows of any page that may be a table's, however the way to it is damaged.

    Each page in turn takes the place of the page on which the table begins. Rows of other tables
    come out, too: they make no sense as this one's.
    """
    image = bytearray(new_schema(content))
    with closing(sqlite3.connect(":memory:")) as empty:
        create_tables(empty)
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        ((root,),) = empty.execute(query, (table,)).fetchall()
    place = slice((root - 1) * _PAGE, root * _PAGE)
    for start in range(_PAGE, min(len(image), _MOST_PAGES * _PAGE), _PAGE):
        page = content[start : start + _PAGE]
        if page[:1] != _LEAF:
            continue
        image[place] = page
        with closing(sqlite3.connect(":memory:")) as db, suppress(sqlite3.Error):
            db.deserialize(bytes(image))
            for row in db.execute(f"SELECT {', '.join(columns)} FROM {table}"):
                if None not in row:
                    yield row
