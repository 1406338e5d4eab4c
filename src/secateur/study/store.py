"""The store: a folder that holds a study, safe against being killed at any moment.

    RUN/
      study.sqlite                 settings, plan, runs, every attempt at one
      points/DIGEST.safetensors    the weights of each finished run
      figures/                     drawn from the two above

One process writes, under a lock. A run is finished once its row says so; its file was complete,
under its final name and on the disk before.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from secateur.errors import StoreError
from secateur.foundation.html import plain
from secateur.point import Latency, Point
from secateur.study.database import FILE, FORMAT, check_tables, connect, make_tables, unusable
from secateur.study.decoding import (
    decode_fact,
    decode_guess,
    decode_point,
    decode_settings,
    decode_steps,
    decode_trained,
    decode_training,
)
from secateur.study.folder import PARTIAL, check_folder, component, draft, inside, open_lock
from secateur.study.training_time import along

if TYPE_CHECKING:
    from secateur.study.plan import Run

_POINTS = "points"
_PROBE = 1 << 20

_LONGEST = 4096

Status = Literal["done", "failed"]


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


class Store:
    """A study's folder, open for reading; `writing` opens one to write.

    Args:
        folder: The run folder.

    Raises:
        StoreError: There is no study in the folder, or a newer secateur wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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
            weakref.finalize(self, self._db.close)
            check_tables(folder, self._db)
        except sqlite3.Error as error:
            raise unusable(folder, error) from None
        self._check_format()

    @classmethod
    @contextmanager
    def writing(cls, folder: Path) -> Iterator[Store]:
        """Open or make the store of a folder, alone.

        Args:
            folder: Made if absent.

        Raises:
            StoreError: The folder cannot be written, another process writes it, or what it holds
                is no study of this version.
        """
        with _writable(folder):
            try:
                make_tables(folder)
            except sqlite3.Error as error:
                raise unusable(folder, error) from None
            store = cls(folder)
            # A row has to outlive a power cut as the file it speaks of does.
            store._db.execute("PRAGMA synchronous = FULL")
            for left in (*folder.glob(f".*{PARTIAL}"), *(folder / _POINTS).glob(f"*{PARTIAL}")):
                left.unlink(missing_ok=True)
            try:
                yield store
            finally:
                store.close()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def check_room(self, needed_bytes: int) -> None:
        """Make sure of the room on the disk for what is going to be written.

        Raises:
            StoreError: There is less.
        """
        free = shutil.disk_usage(self.folder).free
        if free < needed_bytes:
            raise _unwritable(
                self.folder, f"on a disk with {free:,} bytes free", f"{needed_bytes:,}"
            )

    def _check_format(self) -> None:
        written = self.fact("format")
        if written != str(FORMAT):
            raise StoreError(
                "opening a run",
                str(self.folder),
                given=f"written in format {plain(str(written), 20)}",
                expected=f"format {FORMAT}",
                remedy="Use the version of secateur that wrote it.",
            )

    def fact(self, name: str) -> str | None:
        """A fact about the study as text; None if it was never written."""
        rows = self._rows("SELECT value FROM facts WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def value(self, name: str) -> Any:
        """A fact that is JSON, decoded; None if it was never written.

        Raises:
            StoreError: It is no JSON.
        """
        return decode_fact(name, self.fact(name))

    def _rows(self, query: str, *values: object) -> list[Any]:
        """What a query finds; every reading goes through here.

        Raises:
            StoreError: The file is damaged.
        """
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise unusable(self.folder, error) from None

    def write_fact(self, name: str, value: str) -> None:
        """Write a fact about the study."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def begin(self, settings: Mapping[str, Any], runs: Iterable[Run]) -> None:
        """Write the study's settings and its plan in place of any before; runs stay."""
        runs = list(runs)
        self.write_fact("settings", json.dumps(settings))
        # A point keeps the step that its level had when it was measured: another plan may have
        # levels before it.
        self.write_fact("steps", json.dumps({run.digest: run.step for run in runs}))
        with self._db:
            self._db.execute("DELETE FROM plan")
            self._db.executemany(
                "INSERT INTO plan (digest) VALUES (?)", [(run.digest,) for run in runs]
            )

    @property
    def settings(self) -> dict[str, Any]:
        """The study's settings, defaults included."""
        return decode_settings(self.fact("settings"))

    def record_start(self, run: Run) -> int:
        """Note that an attempt at a run begins; returns its number."""
        with self._db:
            row = self._db.execute(
                "INSERT INTO attempts (digest, started) VALUES (?, ?)", (run.digest, time.time())
            )
        return int(row.lastrowid or 0)

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
        with self._db:
            self._db.execute(
                "UPDATE attempts SET ended = ?, outcome = ? WHERE number = ?",
                (now, status, attempt),
            )
            self._db.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run.digest,
                    run.kind,
                    run.title,
                    json.dumps({"seed": run.seed, "parents": dict(run.parents)}),
                    status,
                    reason,
                    json.dumps(result or {}),
                    now,
                ),
            )

    def finished(self) -> set[str]:
        """Digests of the runs that are done and whose file is there."""
        rows = self._rows("SELECT digest FROM runs WHERE status = 'done'")
        return {digest for (digest,) in rows if self.checkpoint(digest).is_file()}

    def points(self) -> tuple[Point, ...]:
        """The measured points of the plan, in its order."""
        rows = self._rows(
            "SELECT digest, runs.result, latencies.measured FROM plan JOIN runs USING (digest) "
            "LEFT JOIN latencies USING (digest) "
            "WHERE runs.status = 'done' AND runs.kind IN ('base', 'point') ORDER BY plan.position"
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
        rows = self._rows(
            "SELECT digest, made_by, CASE WHEN json_valid(result) "
            "THEN json_extract(result, '$.trained') END FROM runs WHERE status = 'done'"
        )
        read = {row[0]: decode_trained(*row) for row in rows}
        return along(
            {digest: parents for digest, (parents, _) in read.items()},
            {digest: trained for digest, (_, trained) in read.items()},
        )

    def trainings(self) -> tuple[Training, ...]:
        """What the finished runs of the plan trained, sparsity training included, in its order."""
        rows = self._rows(
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
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO latencies VALUES (?, ?)",
                [
                    (digest, json.dumps([asdict(each) for each in measured]))
                    for digest, measured in latencies.items()
                ],
            )

    def failures(self) -> tuple[tuple[str, str], ...]:
        """Title and reason of each run of the plan that failed."""
        rows = self._rows(
            "SELECT runs.title, runs.reason FROM plan JOIN runs USING (digest) "
            "WHERE runs.status = 'failed' ORDER BY plan.position"
        )
        return tuple((plain(title, _LONGEST), plain(reason, _LONGEST)) for title, reason in rows)

    def missing(self) -> int:
        """How many runs of the plan have neither finished nor failed."""
        rows = self._rows("SELECT COUNT(*) FROM plan WHERE digest NOT IN (SELECT digest FROM runs)")
        return int(rows[0][0])

    def earlier(self) -> int:
        """How many finished points belong to an earlier plan: kept, and in no table."""
        rows = self._rows(
            "SELECT COUNT(*) FROM runs WHERE status = 'done' AND kind IN ('base', 'point') "
            "AND digest NOT IN (SELECT digest FROM plan)"
        )
        return int(rows[0][0])

    def attempts(self) -> tuple[tuple[str, str | None], ...]:
        """Every attempt ever made, in order: the run's digest, and how it ended if it did."""
        rows = self._rows("SELECT digest, outcome FROM attempts ORDER BY number")
        return tuple((digest, outcome) for digest, outcome in rows)

    def checkpoint(self, digest: str) -> Path:
        """Where the weights of a run lie.

        Raises:
            StoreError: The digest is none, or a link or a device lies there.
        """
        return inside(self.folder, *checkpoint_name(digest).split("/"))


def checkpoint_name(digest: str) -> str:
    """The path of a run's weights inside the run folder.

    Raises:
        StoreError: The digest cannot be part of a file's name.
    """
    return f"{_POINTS}/{component(digest, 'the digest of a run')[:20]}.safetensors"


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, having shown that it can be written."""
    check_folder(folder)
    try:
        (folder / _POINTS).mkdir(parents=True, exist_ok=True)
        if (folder / FILE).exists() and (folder / FILE).stat().st_nlink > 1:
            raise _unwritable(folder, f"one whose {FILE} has another name elsewhere, too")
        probe = draft(folder / ".probe")
        try:
            with probe.open("wb") as file:
                file.write(bytes(_PROBE))
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
        lock = os.fdopen(open_lock(folder / ".lock"), "a")
    except OSError as error:
        raise _unwritable(folder, f"not writable ({error.strerror})") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _unwritable(folder, "in use by another sweep") from None
        yield


def _unwritable(folder: Path, given: str, needed: str = "") -> StoreError:
    room = f" with {needed} bytes free" if needed else ""
    return StoreError(
        "preparing the run folder",
        str(folder),
        given=given,
        expected=f"a folder that this process alone can write{room}",
        remedy="Choose another folder with --out, or free it; nothing was trained yet.",
    )
