from __future__ import annotations

import json
from pathlib import Path

import pytest

from secateur.errors import StoreError, UsageError
from secateur.study import threads as module
from secateur.study.store import Store
from secateur.study.threads import keep_threads

ONE = {"base": 1, "slim": 1, "point": 1}


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: 8)


@pytest.mark.parametrize(
    ("asked", "seeds", "chosen"),
    [
        (None, 1, {"base": 8, "slim": 2, "point": 2}),
        (None, 2, {"base": 4, "slim": 2, "point": 2}),
        (None, 30, {"base": 2, "slim": 2, "point": 2}),
        (3, 1, {"base": 3, "slim": 3, "point": 3}),
    ],
)
def test_the_base_nets_share_all_the_cores_unless_a_number_is_asked_for(
    tmp_path: Path, asked: int | None, seeds: int, chosen: dict[str, int]
) -> None:
    with Store.writing(tmp_path / "run") as store:
        assert keep_threads(store, asked or 2, asked, seeds) == chosen
        assert json.loads(store.fact("threads") or "") == chosen


def test_a_study_without_a_finished_run_takes_another_number(tmp_path: Path) -> None:
    with Store.writing(tmp_path / "run") as store:
        keep_threads(store, 1, 1, 1)
        assert keep_threads(store, 2, None, 1) == ONE
        assert keep_threads(store, 2, 2, 1) == {"base": 2, "slim": 2, "point": 2}


def test_one_with_finished_runs_keeps_its_own_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.writing(tmp_path / "run") as store:
        keep_threads(store, 1, 1, 1)
        monkeypatch.setattr(store, "finished", lambda: {"one"})
        assert keep_threads(store, 4, None, 1) == ONE
        assert keep_threads(store, 1, 1, 5) == ONE
        with pytest.raises(UsageError, match=r"threads is 2, expected 1, as .* another folder"):
            keep_threads(store, 2, 2, 1)


def test_one_that_others_are_at_keeps_theirs_though_no_run_has_finished(tmp_path: Path) -> None:
    with Store.writing(tmp_path / "run") as store:
        assert keep_threads(store, 1, None, 8, joining=True) == ONE
        assert keep_threads(store, 4, None, 1, joining=True) == ONE
        with pytest.raises(UsageError, match=r"threads is 2, expected 1"):
            keep_threads(store, 2, 2, 1, joining=True)


@pytest.mark.parametrize(
    "kept",
    [
        {"base": 10**9, "slim": 1, "point": 1},
        {"base": 1},
        {**ONE, "more": 1},
        {**ONE, "base": "1"},
        {**ONE, "base": True},
        {**ONE, "base": 0},
        [1],
        "2",
    ],
)
def test_what_is_no_number_of_threads_is_refused(tmp_path: Path, kept: object) -> None:
    with Store.writing(tmp_path / "run") as store:
        store.write_fact("threads", json.dumps(kept))
        with pytest.raises(StoreError, match=r"has kept is .*, expected a number of threads"):
            keep_threads(store, 1, None, 1)
