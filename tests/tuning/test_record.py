"""What a search has found, as a store keeps it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import StoreError
from secateur.study.store import Store
from secateur.tuning.record import FACT, TrialRecord, TuningRecord, read_tuning, without_tuning

TRIALS = (
    TrialRecord(0, "done", {"momentum": 0.5}, value=0.5, epochs=2, seconds=1.5, own=True),
    TrialRecord(1, "failed", {"momentum": 0.6}, epochs=1, reason="the loss is not finite"),
    TrialRecord(2, "done", {"momentum": 0.7}, value=0.7, epochs=2, begun=2),
    TrialRecord(3, "done", {"momentum": 0.8}, value=0.7, epochs=2),
)
RECORD = TuningRecord(
    "small", "base", "validation accuracy", "share", True, "none", 9, (("momentum", "0 to 1"),),
    TRIALS, 3,
)  # fmt: skip


def kept(folder: Path, values: Any) -> Store:
    with Store.writing(folder) as store:
        store.write_fact(FACT, json.dumps(values))
    return Store(folder)


def test_it_comes_back_from_the_store(tmp_path: Path) -> None:
    assert read_tuning(kept(tmp_path / "run", RECORD.to_dict())) == RECORD


def test_the_first_of_the_best_is_the_best() -> None:
    assert RECORD.best is TRIALS[2]
    assert replace(RECORD, higher=False).best is TRIALS[0]
    assert replace(RECORD, trials=TRIALS[1:2]).best is None
    assert RECORD.epochs == 7


def test_of_a_sweep_there_is_none(tmp_path: Path) -> None:
    with Store.writing(tmp_path / "run"):
        pass
    assert read_tuning(Store(tmp_path / "run")) is None
    assert "secateur tune" in str(without_tuning(Store(tmp_path / "run")))


@pytest.mark.parametrize(
    "change",
    [
        {"trials": 3},
        {"trials": [{"number": 0, "state": "odd", "settings": {}}]},
        {"trials": [{"number": 1, "state": "failed", "settings": {}}]},
        {"trials": [{"number": 0, "state": "done", "settings": {}}]},
        {"trials": [{"number": 0, "state": "failed", "settings": {}, "epochs": -1}]},
        {"higher": "perhaps"},
        {"space": [["a"]]},
    ],
)
def test_a_damaged_one_is_told(tmp_path: Path, change: dict[str, Any]) -> None:
    store = kept(tmp_path / "run", {**RECORD.to_dict(), **change})
    with pytest.raises(StoreError, match="its search"):
        read_tuning(store)
