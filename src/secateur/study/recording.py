"""Recording: what SQLite says of a store that cannot be written becomes an error of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secateur.errors import StoreError
from secateur.study.database import unusable
from secateur.study.salvage import with_remedy


@contextmanager
def recording(folder: Path) -> Iterator[None]:
    """Name what goes wrong with a store while a block writes it.

    Args:
        folder: The run folder.

    Raises:
        StoreError: The disk is full or fails, or the store is damaged; finished runs are kept.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(
            "recording a run",
            str(folder),
            given=f"not writable ({error})",
            expected="room on the disk for the store",
            remedy="Free the disk and give the same command: finished runs are kept.",
        ) from None
    except sqlite3.DatabaseError as error:
        raise with_remedy(folder, unusable(folder, error)) from None
