"""Optuna is optional, and its file is data."""

import sqlite3
import sys
import types
from contextlib import closing
from pathlib import Path

import pytest

from secateur.errors import StoreError, UsageError
from secateur.tuning.optuna_file import import_optuna, opened, recording


def test_without_it_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'secateur\[tune\]'"):
        import_optuna()


def test_a_folder_of_that_name_is_not_it(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = types.ModuleType("optuna")
    folder.__path__ = ["here/optuna"]
    monkeypatch.setitem(sys.modules, "optuna", folder)
    with pytest.raises(UsageError, match="here/optuna"):
        import_optuna()


def test_a_path_is_no_address(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    path = tmp_path / "a{b} ?mode=memory#c.sqlite"
    storage = opened(optuna, path)
    optuna.create_study(storage=storage, study_name="here")
    storage.engine.dispose()
    assert path.read_bytes().startswith(b"SQLite format 3")


def test_what_is_not_of_the_file_passes() -> None:
    for error in (sqlite3.OperationalError("of our own store"), ValueError("of a run")):
        with pytest.raises(type(error)), recording(Path("trials")):
            raise error


def test_what_comes_out_of_optuna_is_named(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    path = tmp_path / "trials.sqlite"
    path.write_bytes(b"no database" * 400)
    with pytest.raises(StoreError, match=r"trials\.sqlite"), recording(path):
        opened(optuna, path)


@pytest.mark.parametrize(
    "odd", ["VIEW v AS SELECT 1", "TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END"]
)
def test_views_and_triggers_are_refused(tmp_path: Path, odd: str) -> None:
    path = tmp_path / "trials.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"CREATE TABLE a (b); CREATE {odd};")
    with pytest.raises(StoreError, match="nothing of Optuna's"):
        opened(pytest.importorskip("optuna"), path)


def test_what_optuna_itself_raises_is_named(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    with pytest.raises(StoreError, match="Move it away"), recording(tmp_path):
        raise optuna.exceptions.StorageInternalError("disk")
    with pytest.raises(StoreError, match="Move it away"), recording(tmp_path):
        optuna.distributions.json_to_distribution("{")
