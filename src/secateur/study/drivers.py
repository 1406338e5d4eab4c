"""Drivers: the sweeps that share a run folder, and how each knows that another is dead.

A driver has a row under a name that is never used again, and proves that it lives by counting up
in it. One whose process is gone, or whose count another one has seen unchanged for a minute, is
taken for dead: its row goes, and with it all that it had claimed. That minute is of the clock of
whoever looks: no two machines' clocks are compared.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from secateur.errors import StoreError
from secateur.study.database import connect, make_drivers_tables
from secateur.study.folder import remove_partials
from secateur.study.process_mark import ProcessMark, own_mark

if TYPE_CHECKING:
    from secateur.study.store import Store

BEAT = 5.0
"""Seconds between two signs of life of a driver."""

SILENCE = 60.0
"""Seconds without one after which others take it for dead."""

# What passes between two looks counts as silence up to here: the looker may have been stopped, too.
_LONGEST_LOOK = 15.0


@dataclass
class _Observed:
    """What this driver has seen of another one."""

    beats: int
    silent: float
    looked: float


class Drivers:
    """The drivers of a run folder, this process one of them.

    Args:
        store: Open for writing, shared.

    Attributes:
        own: The name of this one; another one after the others have taken it for dead.
    """

    def __init__(self, store: Store) -> None:
        self.own = ""
        self._store = store
        self._names: set[str] = set()
        self._observed: dict[str, _Observed] = {}
        self._stopped = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="driver-beats", daemon=True)

    def is_own(self, name: str) -> bool:
        """Whether this process has or had that name."""
        return name in self._names

    def others(self, db: sqlite3.Connection) -> bool:
        """Whether there may be others, within a transaction that makes the tables if need be."""
        make_drivers_tables(db)
        return any(not mark.is_gone for _, mark, _ in self._read())

    def register(self, db: sqlite3.Connection) -> None:
        """Take a name, unless this one still has one."""
        found = db.execute("SELECT 1 FROM drivers WHERE id = ?", (self.own,)).fetchone()
        if not found:
            self.own = uuid.uuid4().hex
            self._names.add(self.own)
            mark = own_mark()
            row = (self.own, mark.host, mark.pid, mark.born, 0)
            db.execute("INSERT INTO drivers VALUES (?, ?, ?, ?, ?)", row)

    def start(self) -> None:
        """Begin to give signs of life."""
        self._beating.start()

    def _beat(self) -> None:
        """Count up, from a thread of its own, whatever the sweep is busy with."""
        query = "UPDATE drivers SET beats = beats + 1 WHERE id = ?"
        while not self._stopped.wait(BEAT):
            # Another one's long write, a disk that fails for a moment: the next beat tells, too.
            with (
                suppress(sqlite3.Error, OSError, StoreError),
                closing(connect(self._store.folder)) as db,
                db,
            ):
                db.execute(query, (self.own,))

    def leave(self) -> None:
        """Go, and leave what this one had claimed to the others."""
        self._stopped.set()
        if self._beating.is_alive():
            self._beating.join()

        def write(db: sqlite3.Connection) -> None:
            for name in self._names:
                _forget(db, name)

        # A folder that cannot be written any more: all is free once this process is gone.
        with suppress(sqlite3.Error, OSError):
            self._store.write(write)

    def observe(self) -> None:
        """Look at the others, and take the claims of one that is dead away from it."""
        now = time.monotonic()
        rows = [row for row in self._read() if not self.is_own(row[0])]
        there = {name for name, _, _ in rows}
        self._observed = {name: seen for name, seen in self._observed.items() if name in there}
        for name, mark, beats in rows:
            seen = self._observed.setdefault(name, _Observed(beats, 0.0, now))
            seen.silent += min(now - seen.looked, _LONGEST_LOOK)
            seen.looked = now
            if beats != seen.beats:
                seen.beats, seen.silent = beats, 0.0
            if mark.is_gone or seen.silent >= SILENCE:
                self._bury(name, beats)

    def _read(self) -> Iterator[tuple[str, ProcessMark, int]]:
        """The name, the mark and the count of each driver."""
        query = "SELECT id, host, pid, born, beats FROM drivers"
        for name, host, pid, born, beats in self._store.rows(query):
            yield name, ProcessMark(host, pid, born), beats

    def _bury(self, name: str, beats: int) -> None:
        """Forget a driver, unless it has beaten after all."""

        def write(db: sqlite3.Connection) -> list[str]:
            same = "SELECT 1 FROM drivers WHERE id = ? AND beats = ?"
            return _forget(db, name) if db.execute(same, (name, beats)).fetchone() else []

        for digest in self._store.write(write):
            remove_partials(self._store.folder, digest)


def _forget(db: sqlite3.Connection, name: str) -> list[str]:
    """Take a driver and its claims out; returns what it had claimed."""
    query = "SELECT digest FROM claims WHERE driver = ?"
    had = [str(digest) for (digest,) in db.execute(query, (name,))]
    db.execute("DELETE FROM claims WHERE driver = ?", (name,))
    db.execute("DELETE FROM drivers WHERE id = ?", (name,))
    return had
