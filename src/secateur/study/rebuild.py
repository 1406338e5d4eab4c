"""Rebuilding: a new store, of what could be saved, in the place of a damaged one, which is kept."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

from secateur.errors import StoreError
from secateur.study.damaged_pages import Row
from secateur.study.database import FILE, create_tables
from secateur.study.folder import draft
from secateur.study.salvage import TABLES, Salvage


def rebuild(folder: Path, saved: Salvage) -> Path:
    """Put a new store that holds what was saved in place of a damaged one.

    The damaged one is kept beside it, under a name of its own. Whoever calls holds the folder's
    lock.

    Args:
        folder: The run folder.
        saved: What was read of it.

    Returns:
        Where the damaged one is now.

    Raises:
        StoreError: The new one cannot be written; the damaged one is as it was.
    """
    fresh = folder / f".{FILE}.new"
    try:
        draft(fresh)
        with closing(sqlite3.connect(fresh)) as db:
            create_tables(db)
            for table, columns in TABLES.items():
                _insert(db, table, columns, saved.rows.get(table, ()))
            db.commit()
        kept = _kept_aside(folder)
        _sync(fresh)
        fresh.replace(folder / FILE)
        (folder / f"{FILE}-journal").unlink(missing_ok=True)
        return kept
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            "saving what can be saved",
            str(folder),
            given=f"not writable ({error})",
            expected="room for a second store",
            remedy="Free the disk and try again; nothing was changed.",
        ) from None
    finally:
        fresh.unlink(missing_ok=True)


def _insert(
    db: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Iterable[Row]
) -> None:
    places = ", ".join("?" * len(columns))
    for row in rows:
        # Two rows of one name, or of a type that a table does not take: the first one stays.
        with suppress(sqlite3.IntegrityError):
            query = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
            if not (table == "facts" and row[0] == "format"):
                db.execute(query, row)


def _kept_aside(folder: Path) -> Path:
    """Copy the damaged file, and its journal, under the first name that is free."""
    for name in _names(folder):
        if not name.exists() and not name.is_symlink():
            draft(name)
            shutil.copyfile(folder / FILE, name)
            _sync(name)
            journal = folder / f"{FILE}-journal"
            if journal.is_file() and not journal.is_symlink():
                shutil.copyfile(journal, draft(name.with_name(f"{name.name}-journal")))
            return name
    raise OSError("no name is left")


def _names(folder: Path) -> Iterator[Path]:
    return (folder / f"{FILE}.damaged-{number}" for number in count(1))


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
