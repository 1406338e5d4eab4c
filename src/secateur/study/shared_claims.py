"""Claims of several sweeps on one run folder: each run is done by one of them, and counts once.

Before a driver (`drivers.py`) begins a chain of runs it writes that they are its own. In the
transaction that writes a run's end it looks whether the run still is: what one reports that was
taken for dead meanwhile is refused. A run writes its weights under a name of the driver's, and they
get their own name within that same transaction, so that a late driver replaces no file, either.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from secateur.errors import StoreError
from secateur.foundation.atomic_write import replaced_by
from secateur.study import drivers
from secateur.study.claims import Ending, News
from secateur.study.decoding import decode_sum
from secateur.study.drivers import Drivers
from secateur.study.folder import PARTIAL, checkpoint_name
from secateur.study.store import Status, Store

if TYPE_CHECKING:
    from secateur.study.plan import Run

_LOG = logging.getLogger("secateur")
_PAUSE = 0.2


class SharedClaims:
    """The claims of one of several sweeps on a run folder; see `secateur.study.claims.Claims`.

    Args:
        store: Open for writing, shared.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._drivers = Drivers(store)
        self._claimed: dict[str, str] = {}
        self._heard = 0
        self._looked = -math.inf
        self._held: set[str] = set()
        self._failed: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._drivers.leave()

    def join(self, plan: Sequence[str], begin: Callable[[bool], None]) -> None:
        """Become one of the drivers, once none works on another plan.

        A driver that is dead and does not look so yet is waited for, and no longer.

        Args:
            plan: The digests of all runs, in their order.
            begin: Writes what comes before the runs; told whether others are at work.

        Raises:
            StoreError: Others work on another plan.
        """
        self._store.finished()  # every file is read before anybody has to wait for this
        until = time.monotonic() + drivers.SILENCE + 2 * drivers.BEAT
        while not self._store.write(lambda db: self._join(db, plan, begin)):
            if time.monotonic() > until:
                raise StoreError(
                    "joining a sweep",
                    str(self._store.folder),
                    given="shared by sweeps of another plan",
                    expected="one study for all that share a run folder",
                    remedy="Give the same command, wait for the others, or name another folder "
                    "with --out.",
                )
            self.pause()
            self._drivers.observe()
        self._drivers.start()

    def _join(
        self, db: sqlite3.Connection, plan: Sequence[str], begin: Callable[[bool], None]
    ) -> bool:
        others = self._drivers.others(db)
        if others and self._store.plan() != tuple(plan):
            return False
        begin(others)
        ((self._heard,),) = db.execute("SELECT COALESCE(MAX(number), 0) FROM endings").fetchall()
        self._drivers.register(db)
        return True

    def claim(self, runs: Sequence[Run]) -> bool:
        """Claim a chain of runs; False if another has one of them, or has ended one unheard."""
        digests = [run.digest for run in runs]
        if not self._store.write(lambda db: self._claim(db, digests)):
            return False
        self._claimed |= dict.fromkeys(digests, self._drivers.own)
        return True

    def _claim(self, db: sqlite3.Connection, digests: Sequence[str]) -> bool:
        self._drivers.register(db)
        if self._is_taken(db, digests):
            return False
        rows = [(digest, self._drivers.own) for digest in digests]
        db.executemany("INSERT INTO claims VALUES (?, ?)", rows)
        return True

    def _is_taken(self, db: sqlite3.Connection, digests: Sequence[str]) -> bool:
        """Whether somebody has a run, or another ended it since this one heard of endings."""
        places = ", ".join("?" * len(digests))
        held = f"SELECT 1 FROM claims WHERE digest IN ({places})"
        ended = f"SELECT driver FROM endings WHERE number > ? AND digest IN ({places})"
        unheard = [name for (name,) in db.execute(ended, (self._heard, *digests))]
        if not all(map(self._drivers.is_own, unheard)):
            return True
        return db.execute(held, digests).fetchone() is not None

    def draft(self, run: Run) -> str:
        """The name of the file that a claimed run writes."""
        path = Path(checkpoint_name(run.digest))
        return str(path.with_suffix(f".{self._claimed[run.digest][:12]}{PARTIAL}"))

    def begin(self, run: Run) -> int:
        """Note that an attempt at a run begins, if it is still this driver's."""
        return self._store.write(
            lambda db: self._store.record_start(run) if self._holds(db, run.digest) else 0
        )

    def _holds(self, db: sqlite3.Connection, digest: str) -> bool:
        query = "SELECT 1 FROM claims WHERE digest = ? AND driver = ?"
        own = (digest, self._claimed.get(digest, ""))
        return db.execute(query, own).fetchone() is not None

    def end(
        self,
        attempt: int,
        run: Run,
        status: Status,
        reason: str = "",
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Note a run's end, give its file its name, and the claim back: all or nothing."""
        file = self._store.folder / self.draft(run)

        def write(db: sqlite3.Connection) -> bool:
            if not self._holds(db, run.digest):
                return False
            # An executor of somebody else's may have given the file its name at once.
            if status == "done" and file.exists():
                with replaced_by(file, self._store.checkpoint(run.digest)):
                    pass
            self._store.record_end(attempt, run, status, reason, result)
            self._tell_end(db, run)
            return True

        counted = self._store.write(write)
        file.unlink(missing_ok=True)
        del self._claimed[run.digest]
        if not counted:
            _LOG.warning(
                "%s: another sweep has taken %r over, for this one gave no sign of life; "
                "what came of it here does not count.",
                self._store.folder,
                run.title,
            )
        return counted

    def _tell_end(self, db: sqlite3.Connection, run: Run) -> None:
        told = (run.digest, self._drivers.own)
        db.execute("INSERT INTO endings (digest, driver) VALUES (?, ?)", told)
        db.execute("DELETE FROM claims WHERE digest = ?", (run.digest,))

    def skip(self, run: Run, reason: str) -> None:
        """Note that a run will not be done, unless another driver has noted it."""

        def write(db: sqlite3.Connection) -> None:
            if self._holds(db, run.digest) or not self._is_taken(db, [run.digest]):
                self._store.record_end(self._store.record_start(run), run, "failed", reason)
                self._tell_end(db, run)

        if run.digest not in self._failed:
            self._store.write(write)
        self._claimed.pop(run.digest, None)

    def news(self, now: bool = False) -> News:
        """What the others did since the last time; one that is dead is found out here, too."""
        if not now and time.monotonic() - self._looked < _PAUSE:
            return News(self._held)
        self._looked = time.monotonic()
        self._drivers.observe()
        rows = self._store.rows("SELECT digest, driver FROM claims")
        self._held = {digest for digest, name in rows if not self._drivers.is_own(name)}
        endings = list(self._endings())
        self._failed |= {one.digest for one in endings if one.status == "failed"}
        return News(self._held, endings)

    def _endings(self) -> Iterator[Ending]:
        rows = self._store.rows(
            "SELECT number, driver, digest, status, reason, CASE WHEN json_valid(result) "
            "THEN json_extract(result, '$.sha256') END "
            "FROM endings JOIN runs USING (digest) WHERE number > ? ORDER BY number",
            self._heard,
        )
        for number, name, digest, status, reason, known in rows:
            self._heard = number
            if not self._drivers.is_own(name):
                yield Ending(digest, status, reason, decode_sum(digest, known))

    def pause(self) -> None:
        """Let a moment pass, in which others may get on."""
        time.sleep(_PAUSE)

    @contextmanager
    def alone(self, task: str) -> Iterator[None]:
        """Wait until no other driver does a task, and keep them waiting meanwhile."""
        while not self._store.write(lambda db: self._claim(db, [task])):
            self.pause()
            self._drivers.observe()
        gone = (task, self._drivers.own)
        try:
            yield
        finally:
            query = "DELETE FROM claims WHERE digest = ? AND driver = ?"
            with suppress(sqlite3.Error):
                self._store.write(lambda db: db.execute(query, gone))


def forget_drivers(folder: Path) -> None:
    """Make a shared folder one like any other, unless another sweep is still there."""
    with suppress(StoreError, sqlite3.Error, OSError), Store.writing(folder):
        pass
