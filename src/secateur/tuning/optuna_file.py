"""Optuna, which is optional, and the file in which it keeps the trials of a search."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from secateur.errors import SecateurError, StoreError, UsageError
from secateur.foundation.html import plain
from secateur.study.database import connect

FILE = "tuning.sqlite"
_ODD = "SELECT name FROM sqlite_master WHERE type IN ('view', 'trigger')"
_PACKAGES = ("optuna", "sqlalchemy", "alembic")


def import_optuna() -> Any:
    """Optuna, which is optional.

    Raises:
        UsageError: It is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import optuna
    except ImportError as error:
        raise _missing(f"not importable ({error})") from None
    if not hasattr(optuna, "create_study"):  # any folder of this name, without the package
        raise _missing(f"a folder of that name ({', '.join(optuna.__path__)})")
    return optuna


def _missing(given: str) -> UsageError:
    return UsageError(
        "searching for settings",
        "the package optuna",
        given=given,
        expected="optuna 4 or newer",
        remedy="Install it: pip install 'secateur[tune]'.",
    )


def make_pruner(optuna: Any, name: str) -> Any:
    """Optuna's pruner of a name in `[tune]`.

    `median` (not before the fifth trial) and `halving`, asynchronous successive halving (Li et al.
    2020, "A system for massively parallel hyperparameter tuning"), by a third from the first epoch
    on.
    """
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4)
    if name == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    return optuna.pruners.NopPruner()


def opened(optuna: Any, path: Path) -> Any:
    """Optuna's storage in one file: of words, numbers and JSON, nothing of which is ever run.

    Args:
        optuna: The package.
        path: Made if absent; no part of it is taken for a word of an address.

    Raises:
        StoreError: The file is no database, or has views or triggers: Optuna makes none.
    """
    from sqlalchemy.pool import NullPool

    def begin() -> sqlite3.Connection:
        return connect(path.parent, path.name)

    try:
        with closing(begin()) as db:
            odd = db.execute(_ODD).fetchone()
    except sqlite3.Error as error:
        raise _unusable(path, str(error)) from None
    if odd is not None:
        raise _unusable(path, f"{plain(str(odd[0]), 200)} is nothing of Optuna's")
    options = {"creator": begin, "poolclass": NullPool}
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs=options)


@contextmanager
def recording(path: Path) -> Iterator[None]:
    """Name what goes wrong with the file.

    Raises:
        StoreError: It cannot be read or written, or holds something else.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, SecateurError) or not _is_of_storage(error):
            raise
        line = next(iter(str(error).splitlines()), "")
        raise _unusable(path, f"{type(error).__name__}: {plain(line, 200)}") from None


def _unusable(path: Path, why: str) -> StoreError:
    return StoreError(
        "keeping the trials of a search",
        str(path),
        given=f"unusable ({why})",
        expected="a file of Optuna's, on a disk with room",
        remedy="Move it away, or name another folder with --out: the search begins anew, and "
        "no run that has finished here is trained again.",
    )


def _is_of_storage(error: Exception) -> bool:
    """Whether it comes out of Optuna or what it stands on, and not from a run or our own store."""
    raised, modules = error.__traceback__, [kind.__module__ for kind in type(error).__mro__]
    while raised is not None:
        modules.append(str(raised.tb_frame.f_globals.get("__name__", "")))
        raised = raised.tb_next
    return any(name.partition(".")[0] in _PACKAGES for name in modules)
