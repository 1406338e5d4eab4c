"""Fetching a run folder from the address that it was copied to, byte for byte as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from secateur.errors import StoreError
from secateur.foundation.atomic_write import replaced_by
from secateur.remote.contents import CONTENTS, Entry, read_contents
from secateur.remote.folder import RemoteFolder
from secateur.study.checkpoint_sum import judge
from secateur.study.database import FILE as STORE
from secateur.study.folder import PARTIAL, draft, inside
from secateur.study.run_lock import unwritable, writable
from secateur.study.store import Store


@dataclass(frozen=True)
class Fetched:
    """What was fetched.

    Attributes:
        files: How many files the run folder has of the copy.
        new: How many of them were not there before.
    """

    files: int
    new: int


def fetch_run(address: str, folder: Path) -> Fetched:
    """Fetch a run folder; what is there already, byte for byte, is not fetched again.

    The store comes last: what was cut off is no run yet, and the same command goes on.

    Args:
        address: Where it was copied to.
        folder: Made if absent. One that has a store must have the very same.

    Raises:
        StoreError: There is no copy, a file of it is damaged or out of reach, or the folder holds
            another run or cannot be written.
    """
    remote = RemoteFolder(address)
    files = read_contents(remote)
    if STORE not in files:
        raise StoreError(
            "fetching a run",
            remote.shown,
            given="without a copy that is whole",
            expected=f"an address that a sweep was told by --copy-to, with its {CONTENTS}",
            remedy="Check the address; a copy counts once it has been finished.",
        )
    with writable(folder):
        _check_same(folder, files[STORE])
        missing = {
            name: entry
            for name, entry in files.items()
            if judge(inside(folder, *name.split("/")), entry.sha256).state != "sound"
        }
        _check_room(folder, missing)
        for name in sorted(missing, key=lambda name: (name == STORE, name)):
            _fetch(remote, missing[name], inside(folder, *name.split("/")))
    Store(folder).close()
    return Fetched(len(files), len(missing))


def _check_same(folder: Path, entry: Entry) -> None:
    """Refuse a folder with another store: it may hold what the copy does not."""
    state = judge(folder / STORE, entry.sha256).state
    if state not in ("sound", "missing"):
        raise StoreError(
            "fetching a run",
            str(folder),
            given="a folder that holds another run, or this one at another time",
            expected="a new folder, or one into which this copy was being fetched",
            remedy="Name another folder, or move this one away.",
        )


def _check_room(folder: Path, files: Mapping[str, Entry]) -> None:
    needed = sum(entry.size for entry in files.values())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise unwritable(folder, f"on a disk with {free:,} bytes free", f"{needed:,}")


def _fetch(remote: RemoteFolder, entry: Entry, path: Path) -> None:
    try:
        partial = draft(path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}"))
        with replaced_by(partial, path):
            with partial.open("wb") as file:
                found = remote.get(entry.at, file, entry.size)
            if found != entry.sha256:
                raise StoreError(
                    "fetching a file",
                    f"{remote.shown}/{entry.at}",
                    given="damaged (its bytes are not those that were copied)",
                    expected="the file that the copy's list names",
                    remedy="Copy the run again from where it was made: give its sweep's command.",
                )
    except OSError as error:
        raise unwritable(path.parent, f"not writable ({error.strerror or error})") from None
