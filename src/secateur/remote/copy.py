"""Copying a run folder to an address: checkpoints as their runs end, and in the end all of it.

A copy is of one moment: its store is a whole one, and it has the checkpoints of the runs that are
done there. The next copy brings what is new, and then says so (`contents.py`): until that moment,
and if it is cut off before, the one before counts.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from secateur.errors import SecateurError, StoreError
from secateur.remote.contents import CONTENTS, PAGE, TABLE, Entry, read_contents, write_contents
from secateur.remote.folder import RemoteFolder
from secateur.report import page
from secateur.report.export_table import to_csv
from secateur.study.checkpoint_sum import judge
from secateur.study.database import FILE as STORE
from secateur.study.database import connect
from secateur.study.folder import PARTIAL, checkpoint_name
from secateur.study.int8_points import shown_points
from secateur.study.observer import Silent
from secateur.study.store import Store
from secateur.study.study import CONTROLS

if TYPE_CHECKING:
    from secateur.study.plan import Run

_LOG = logging.getLogger("secateur")

EVERY = 30.0
"""Seconds between two copies while a sweep runs."""


def copy_run(folder: Path, remote: RemoteFolder, *, whole: bool = False) -> int:
    """Copy a run folder as it is now: its store, and the checkpoints of what is done.

    What the address has already, byte for byte, is not copied again.

    Args:
        folder: The run folder; a sweep may be writing it.
        remote: Where to.
        whole: With the page and the table.

    Returns:
        How many files were copied.

    Raises:
        StoreError: The address cannot be written; the copy before this one still counts.
    """
    before = read_contents(remote)
    with (
        TemporaryDirectory(prefix="secateur-") as made,
        closing(_snapshot(folder, Path(made))) as store,
    ):
        _check_same(store, remote, before)
        files, copied = {}, 0
        for digest, known in store.sums().items():
            name = checkpoint_name(digest)
            entry = _entry_of(folder / name, name, known)
            if entry is not None:
                files[name] = entry
                copied += _put(remote, folder / name, entry, before.get(name))
        rest = {STORE: Path(made) / STORE}
        if whole:
            (Path(made) / TABLE).write_bytes(to_csv(shown_points(store), CONTROLS))
            # Of the folder itself, whose name stands in the commands that the page shows.
            with closing(Store(folder)) as own:
                rest |= {TABLE: Path(made) / TABLE, PAGE: page.write(own, Path(made) / PAGE)}
        for name, path in rest.items():
            found = sha256(path.read_bytes()).hexdigest()
            # By its sum: until this copy is whole, the store of the one before stays beside it.
            at = f"{path.stem}-{found[:16]}{path.suffix}" if name == STORE else name
            files[name] = Entry(at, found, path.stat().st_size)
            copied += _put(remote, path, files[name], before.get(name))
    if not whole:
        files |= {name: before[name] for name in (TABLE, PAGE) if name in before}
    if files != before:
        write_contents(remote, files)
    _clear(remote, files)
    return copied


def _snapshot(folder: Path, made: Path) -> Store:
    """The store as it is at one moment, in a folder of its own."""
    with closing(connect(folder)) as db, closing(sqlite3.connect(made / STORE)) as copy:
        db.backup(copy)
    return Store(made)


def _check_same(store: Store, remote: RemoteFolder, before: Mapping[str, Entry]) -> None:
    """Refuse to put a run's copy in place of another's."""
    own = {checkpoint_name(digest) for digest in (*store.plan(), *store.sums())}
    held = before.keys() - {STORE, PAGE, TABLE}
    if held and held.isdisjoint(own):
        raise StoreError(
            "copying a run folder",
            remote.shown,
            given="an address that holds another run",
            expected="one that holds none, or this one",
            remedy="Name another address with --copy-to.",
        )


def _entry_of(path: Path, name: str, known: str) -> Entry | None:
    """What a checkpoint is; None of one that is lost or damaged, which is made again."""
    if not judge(path, known).usable:
        return None
    found = known or sha256(path.read_bytes()).hexdigest()
    return Entry(name, found, path.stat().st_size)


def _put(remote: RemoteFolder, path: Path, entry: Entry, before: Entry | None) -> int:
    if entry == before:
        return 0
    remote.put(entry.at, path, entry.sha256)
    return 1


def _clear(remote: RemoteFolder, files: dict[str, Entry]) -> None:
    """Remove what copies that were cut off left, and the stores of those before."""
    kept = {each.at for each in files.values()} | {CONTENTS}
    stem = Path(STORE).stem
    for name in remote.names():
        last = name.rpartition("/")[2]
        is_part = last.startswith(".") and last.endswith(PARTIAL)
        is_store = name.startswith(f"{stem}-") and name.endswith(Path(STORE).suffix)
        if name not in kept and (is_part or is_store):
            remote.remove(name)


class RemoteCopy(Silent):
    """Copies a run folder while a sweep fills it: an observer, and a context manager around it.

    It copies from a thread of its own, so that no run waits for it. An address that is out of reach
    for a while is told and tried again.

    Args:
        folder: The run folder.
        address: Where to.
        every: Seconds between two copies.

    Raises:
        UsageError: The address cannot be written; nothing was trained.
    """

    def __init__(self, folder: Path, address: str, every: float = EVERY) -> None:
        self.remote = RemoteFolder(address)
        self.remote.check()
        self._folder = folder
        self._every = every
        self._news = threading.Event()
        self._stopped = threading.Event()
        self._warned = False
        # A daemon: a server that never answers must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="remote-copy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._news.set()
        self._thread.join()

    def ended(self, run: Run, reason: str) -> None:
        """There is something to copy."""
        del run
        if not reason:
            self._news.set()

    def _work(self) -> None:
        while True:
            self._news.wait()
            if self._stopped.wait(0):
                return
            self._news.clear()
            begun = time.monotonic()
            try:
                copy_run(self._folder, self.remote)
            except (SecateurError, OSError, sqlite3.Error) as error:
                self._warn(error)
            self._stopped.wait(max(0.0, self._every - (time.monotonic() - begun)))

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning("%s The sweep goes on, and the copy is tried again.", error)

    def finish(self) -> int:
        """Copy all of it, with the page and the table; returns how many files were new.

        Raises:
            StoreError: The address cannot be written.
        """
        try:
            return copy_run(self._folder, self.remote, whole=True)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                "copying a run folder",
                str(self._folder),
                given=f"not readable ({error})",
                expected="a run folder that can be read, and room for a second store",
                remedy="Free the disk and give the same command: it copies what is missing.",
            ) from None
