"""The store: a folder that holds a study, safe against being killed at any moment.

    RUN/
      study.sqlite                 settings, plan, runs, every attempt at one
      points/DIGEST.safetensors    the weights of each finished run
      figures/                     drawn from the two above

One process writes, under a lock, or several that share the folder (`shared_claims.py`). A run is
finished once its row says so; its file was complete, under its final name and on the disk before.
The row keeps the file's SHA-256: what is no longer as it was written counts as not finished, and is
made again.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from secateur.errors import StoreError
from secateur.foundation.html import plain
from secateur.point import Latency, Point
from secateur.study.checkpoint_sum import Verdict, judge
from secateur.study.database import (
    FILE,
    FORMAT,
    check_tables,
    connect,
    drop_drivers_tables,
    make_tables,
    other_format,
    unusable,
)
from secateur.study.decoding import (
    decode_fact,
    decode_guess,
    decode_point,
    decode_settings,
    decode_steps,
    decode_sum,
    decode_trained,
    decode_training,
)
from secateur.study.folder import check_folder, check_kind, checkpoint_name, remove_partials
from secateur.study.patience import retried
from secateur.study.run_lock import unwritable, writable
from secateur.study.salvage import with_remedy
from secateur.study.seal import sealed
from secateur.study.training_time import along

if TYPE_CHECKING:
    from secateur.study.plan import Run

_LONGEST = 4096

Status = Literal["done", "failed"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Training:
    """The training that one finished run did.

    Attributes:
        digest: The run's.
        kind: `base`, `start`, `point`, or the name of a preparation.
        title: Short text for people.
        parents: Role (`base`, `previous`, `slim`, `like`) -> digest.
        curve: One entry an epoch: `epoch`, `loss`, and the score that chooses (`val_accuracy`).
    """

    digest: str
    kind: str
    title: str
    parents: Mapping[str, str]
    curve: tuple[dict[str, float], ...]


def _told(read: Callable[..., Result]) -> Callable[..., Result]:
    """Of a reading that meets a damaged row: say what can be saved, and how."""

    @wraps(read)
    def told(store: Store, *arguments: Any) -> Result:
        try:
            return read(store, *arguments)
        except StoreError as error:
            raise with_remedy(store.folder, error) from None

    return told


class Store:
    """A study's folder, open for reading; `writing` opens one to write.

    Args:
        folder: The run folder.

    Raises:
        StoreError: There is no study in the folder, or a newer secateur wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._judged: dict[str, tuple[object, Verdict]] = {}
        check_folder(folder)
        if not (folder / FILE).is_file():
            raise StoreError(
                "opening a run",
                str(folder),
                given="a folder without study.sqlite" if folder.is_dir() else "no folder",
                expected="the output folder of `secateur sweep`",
                remedy="Check the path; runs lie under runs/ by default.",
            )
        try:
            self._db = connect(folder)
            self._closing = weakref.finalize(self, _close, self._db)
            check_tables(folder, self._db)
        except sqlite3.Error as error:
            raise with_remedy(folder, unusable(folder, error)) from None
        self._check_format()

    @classmethod
    @contextmanager
    def writing(cls, folder: Path, *, shared: bool = False) -> Iterator[Store]:
        """Open or make the store of a folder, alone or beside others that share it.

        Args:
            folder: Made if absent.
            shared: Others may write it at the same time, if they say so, too.

        Raises:
            StoreError: The folder cannot be written, another process writes it, or what it holds
                is no study of this version.
        """
        with writable(folder, shared=shared):
            try:
                retried(lambda: make_tables(folder))
                if not shared:
                    retried(lambda: drop_drivers_tables(folder))
            except sqlite3.Error as error:
                raise with_remedy(folder, unusable(folder, error)) from None
            store = cls(folder)
            # A row has to outlive a power cut as the file it speaks of does.
            store._db.execute("PRAGMA synchronous = FULL")
            if not shared:  # else they may be what others are writing just now
                remove_partials(folder)
            try:
                yield store
            finally:
                store.close()

    def close(self) -> None:
        """Close the database."""
        self._closing()

    def check_room(self, needed_bytes: int) -> None:
        """Make sure of the room on the disk for what is going to be written.

        Raises:
            StoreError: There is less.
        """
        free = shutil.disk_usage(self.folder).free
        if free < needed_bytes:
            raise unwritable(
                self.folder, f"on a disk with {free:,} bytes free", f"{needed_bytes:,}"
            )

    def _check_format(self) -> None:
        written = self.fact("format")
        if written != str(FORMAT):
            raise other_format(self.folder, written)

    def fact(self, name: str) -> str | None:
        """A fact about the study as text; None if it was never written."""
        rows = self.rows("SELECT value FROM facts WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    @_told
    def value(self, name: str) -> Any:
        """A fact that is JSON, decoded; None if it was never written.

        Raises:
            StoreError: It is no JSON.
        """
        return decode_fact(name, self.fact(name))

    def plan(self) -> tuple[str, ...]:
        """The digests of the runs of the plan, in its order."""
        return tuple(str(row[0]) for row in self.rows("SELECT digest FROM plan ORDER BY position"))

    def rows(self, query: str, *values: object) -> list[Any]:
        """What a query finds; every reading goes through here.

        Raises:
            StoreError: The file is damaged.
        """
        try:
            return retried(lambda: self._db.execute(query, values).fetchall())
        except sqlite3.Error as error:
            raise with_remedy(self.folder, unusable(self.folder, error)) from None

    def write(self, write: Callable[[sqlite3.Connection], Result]) -> Result:
        """Write all of something or nothing; every writing goes through here.

        What fails for a moment only is tried again. Nobody else writes meanwhile, so that what
        `write` reads first still holds when it writes; within it, other writings are part of it.
        """
        if self._db.in_transaction:
            return write(self._db)

        def once() -> Result:
            with self._db as db:
                db.execute("BEGIN IMMEDIATE")
                return write(db)

        return retried(once)

    def write_fact(self, name: str, value: str) -> None:
        """Write a fact about the study."""
        self.write(
            lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
        )

    def begin(self, settings: Mapping[str, Any], runs: Iterable[Run]) -> None:
        """Write the study's settings and its plan in place of any before; runs stay."""
        runs = list(runs)
        self.write_fact("settings", json.dumps(settings))
        # A point keeps the step that its level had when it was measured: another plan may have
        # levels before it.
        self.write_fact("steps", json.dumps({run.digest: run.step for run in runs}))

        def replace_plan(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM plan")
            db.executemany("INSERT INTO plan (digest) VALUES (?)", [(run.digest,) for run in runs])

        self.write(replace_plan)

    @property
    @_told
    def settings(self) -> dict[str, Any]:
        """The study's settings, defaults included."""
        return decode_settings(self.fact("settings"))

    def record_start(self, run: Run) -> int:
        """Note that an attempt at a run begins; returns its number."""
        begun = (run.digest, time.time())
        query = "INSERT INTO attempts (digest, started) VALUES (?, ?)"
        return self.write(lambda db: int(db.execute(query, begun).lastrowid or 0))

    def record_end(
        self,
        attempt: int,
        run: Run,
        status: Status,
        reason: str = "",
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Note a run's end and its result, both or neither."""
        now = time.time()
        made_by = json.dumps({"seed": run.seed, "parents": dict(run.parents)})
        told = (run.kind, run.title, made_by, status, reason, sealed(result or {}), now)

        def end(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE attempts SET ended = ?, outcome = ? WHERE number = ?",
                (now, status, attempt),
            )
            db.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (run.digest, *told)
            )

        self.write(end)

    def finished(self) -> set[str]:
        """Digests of the runs that are done and whose file is as it was written."""
        return {digest for digest, verdict in self.verdicts().items() if verdict.usable}

    def sums(self) -> dict[str, str]:
        """SHA-256 of the file of each run that is done; empty where an old store noted none.

        Raises:
            StoreError: A row is damaged.
        """
        return self._sums("status = 'done'")

    @_told
    def _sums(self, where: str, *values: object) -> dict[str, str]:
        rows = self.rows(
            "SELECT digest, CASE WHEN json_valid(result) "
            f"THEN json_extract(result, '$.sha256') END FROM runs WHERE {where}",
            *values,
        )
        return {digest: decode_sum(digest, found) for digest, found in rows}

    def verdicts(self) -> dict[str, Verdict]:
        """What is known of the file of each run that is done, all of them read to their ends.

        A file that has not been touched since this store read it is not read again.

        Raises:
            StoreError: A row is damaged, or what lies in a file's place is none.
        """
        return {digest: self._judge(digest, known) for digest, known in self.sums().items()}

    def verdict(self, digest: str) -> Verdict:
        """What is known of the file of one run.

        Raises:
            StoreError: Its row is damaged, or what lies in the file's place is none.
        """
        return self._judge(digest, self.sum(digest))

    def sum(self, digest: str) -> str:
        """SHA-256 of the file of one run; empty where none was noted.

        Raises:
            StoreError: Its row is damaged.
        """
        return self._sums("digest = ?", digest).get(digest, "")

    def note_sum(self, digest: str, found: str) -> None:
        """Note the SHA-256 of a file that was written without one."""
        ((text,),) = self.rows("SELECT result FROM runs WHERE digest = ?", digest)
        told = sealed({**json.loads(text), "sha256": found})
        query = "UPDATE runs SET result = ? WHERE digest = ?"
        self.write(lambda db: db.execute(query, (told, digest)))

    def _judge(self, digest: str, known: str) -> Verdict:
        path = self.checkpoint(digest)
        mark = (known, _mark(path))
        if digest not in self._judged or self._judged[digest][0] != mark:
            self._judged[digest] = mark, judge(path, known)
        return self._judged[digest][1]

    @_told
    def points(self) -> tuple[Point, ...]:
        """The measured points of the plan, in its order."""
        return self._points("plan JOIN runs USING (digest)", "1", "plan.position")

    @_told
    def earlier_points(self) -> tuple[Point, ...]:
        """The measured points of earlier plans, the oldest first; see `earlier`.

        What another plan's level was called is not known any more: their steps are those that they
        were measured as.
        """
        return self._points(
            "runs", "digest NOT IN (SELECT digest FROM plan)", "runs.finished, digest"
        )

    def _points(self, tables: str, where: str, order: str) -> tuple[Point, ...]:
        rows = self.rows(
            f"SELECT digest, runs.result, latencies.measured FROM {tables} "
            "LEFT JOIN latencies USING (digest) "
            f"WHERE runs.status = 'done' AND runs.kind IN ('base', 'point') AND {where} "
            f"ORDER BY {order}"
        )
        guess = decode_guess(self.fact("data"))
        seconds, steps = self._training_seconds(), decode_steps(self.fact("steps"))
        points = (
            decode_point(digest, result, timed, checkpoint_name(digest), guess)
            for digest, result, timed in rows
        )
        return tuple(
            replace(
                point,
                step=steps.get(point.digest, point.step),
                training_seconds=seconds.get(point.digest),
            )
            for point in points
        )

    def _training_seconds(self) -> dict[str, float | None]:
        """Of every finished run: what it trained, with all that it started from."""
        rows = self.rows(
            "SELECT digest, made_by, CASE WHEN json_valid(result) "
            "THEN json_extract(result, '$.trained') END FROM runs WHERE status = 'done'"
        )
        read = {row[0]: decode_trained(*row) for row in rows}
        return along(
            {digest: parents for digest, (parents, _) in read.items()},
            {digest: trained for digest, (_, trained) in read.items()},
        )

    @_told
    def trainings(self) -> tuple[Training, ...]:
        """What the finished runs of the plan trained, sparsity training included, in its order."""
        rows = self.rows(
            "SELECT digest, kind, title, made_by, result FROM plan JOIN runs USING (digest) "
            "WHERE status = 'done' ORDER BY position"
        )
        found = []
        for digest, kind, title, made_by, text in rows:
            parents, curve = decode_training(digest, made_by, text)
            found.append(Training(digest, plain(kind), plain(title), parents, tuple(curve)))
        return tuple(found)

    def write_latencies(self, latencies: Mapping[str, Sequence[Latency]]) -> None:
        """Write the latencies of points, by digest, all of them or none."""
        rows = [
            (digest, json.dumps([asdict(each) for each in measured]))
            for digest, measured in latencies.items()
        ]
        query = "INSERT OR REPLACE INTO latencies VALUES (?, ?)"
        self.write(lambda db: db.executemany(query, rows))

    def failures(self) -> tuple[tuple[str, str], ...]:
        """Title and reason of each run of the plan that failed."""
        rows = self.rows(
            "SELECT runs.title, runs.reason FROM plan JOIN runs USING (digest) "
            "WHERE runs.status = 'failed' ORDER BY plan.position"
        )
        return tuple((plain(title, _LONGEST), plain(reason, _LONGEST)) for title, reason in rows)

    def missing(self) -> int:
        """How many runs of the plan have neither finished nor failed."""
        rows = self.rows("SELECT COUNT(*) FROM plan WHERE digest NOT IN (SELECT digest FROM runs)")
        return int(rows[0][0])

    def earlier(self) -> int:
        """How many finished points belong to an earlier plan: kept, and in no table."""
        rows = self.rows(
            "SELECT COUNT(*) FROM runs WHERE status = 'done' AND kind IN ('base', 'point') "
            "AND digest NOT IN (SELECT digest FROM plan)"
        )
        return int(rows[0][0])

    def attempts(self) -> tuple[tuple[str, str | None], ...]:
        """Every attempt ever made, in order: the run's digest, and how it ended if it did."""
        rows = self.rows("SELECT digest, outcome FROM attempts ORDER BY number")
        return tuple((digest, outcome) for digest, outcome in rows)

    def checkpoint(self, digest: str) -> Path:
        """Where the weights of a run lie.

        Raises:
            StoreError: The digest is none, or what lies there is no file (a link, a folder, a
                pipe, a device).
        """
        path = self.folder / checkpoint_name(digest)
        check_kind(path.parent, folder=True)
        check_kind(path)
        return path


def _close(db: sqlite3.Connection) -> None:
    # Whoever frees a store that was not closed may be another thread, which may not close it.
    with suppress(sqlite3.ProgrammingError):
        db.close()


def _mark(path: Path) -> object:
    """Something that differs once the file has been written again or replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
