"""Drivers: who is taken for dead, and who is not."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from secateur.errors import StoreError
from secateur.study import drivers
from secateur.study.drivers import BEAT, SILENCE, Drivers
from secateur.study.process_mark import own_mark
from secateur.study.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.writing(tmp_path / "run", shared=True) as opened:
        yield opened


@pytest.fixture
def two(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[Drivers, Drivers]:
    """This process, and one of a machine elsewhere."""
    here, there = Drivers(store), Drivers(store)
    assert not store.write(here.others)
    store.write(here.register)
    elsewhere = replace(own_mark(), host="elsewhere")
    monkeypatch.setattr(drivers, "own_mark", lambda: elsewhere)
    store.write(there.register)
    assert store.write(here.others)
    return here, there


def names(store: Store) -> list[str]:
    return [name for (name,) in store.rows("SELECT id FROM drivers")]


def beat(store: Store, one: Drivers) -> None:
    query = "UPDATE drivers SET beats = beats + 1 WHERE id = ?"
    store.write(lambda db: db.execute(query, (one.own,)))


def claim(store: Store, one: Drivers, digest: str) -> None:
    store.write(lambda db: db.execute("INSERT INTO claims VALUES (?, ?)", (digest, one.own)))


def test_one_that_beats_lives_and_one_that_is_silent_is_buried_with_its_claims(
    store: Store, two: tuple[Drivers, Drivers], clock: list[float]
) -> None:
    here, there = two
    claim(store, there, "a" * 20)
    left = store.folder / "points" / f"{'a' * 20}.{there.own[:12]}.partial"
    other = left.with_name(f"{'b' * 20}.x.partial")
    for file in (left, other):
        file.touch()
    for _ in range(40):
        clock[0] += BEAT
        beat(store, there)
        here.observe()
    assert there.own in names(store)
    for _ in range(int(SILENCE / BEAT) - 1):
        clock[0] += BEAT
        here.observe()
    assert there.own in names(store)
    clock[0] += BEAT
    here.observe()
    assert names(store) == [here.own]
    assert store.rows("SELECT digest FROM claims") == []
    assert (left.exists(), other.exists()) == (False, True)


def test_a_looker_that_was_stopped_does_not_take_its_own_pause_for_silence(
    store: Store, two: tuple[Drivers, Drivers], clock: list[float]
) -> None:
    here, there = two
    here.observe()
    clock[0] += 100 * SILENCE
    here.observe()
    assert there.own in names(store)


def test_one_whose_process_is_gone_is_buried_at_once(
    store: Store, two: tuple[Drivers, Drivers]
) -> None:
    here, there = two
    gone = replace(own_mark(), pid=1 << 23)
    store.write(
        lambda db: db.execute(
            "UPDATE drivers SET host = (SELECT host FROM drivers WHERE id = ?), pid = ? "
            "WHERE id = ?",
            (here.own, gone.pid, there.own),
        )
    )
    here.observe()
    assert names(store) == [here.own]


def test_one_that_was_taken_for_dead_comes_back_under_another_name(
    store: Store, two: tuple[Drivers, Drivers]
) -> None:
    here, there = two
    first = there.own
    store.write(there.register)
    assert there.own == first
    store.write(lambda db: drivers._forget(db, first))
    store.write(there.register)
    assert there.own != first
    assert there.is_own(first)
    there.leave()
    assert names(store) == [here.own]


def test_it_beats_by_itself_through_errors_and_not_after_it_has_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "BEAT", 0.005)
    plain, failures = drivers.connect, iter([sqlite3.OperationalError("locked"), OSError(5, "")])

    def connect(folder: Path) -> sqlite3.Connection:
        for error in failures:
            raise error
        return plain(folder)

    monkeypatch.setattr(drivers, "connect", connect)
    one = Drivers(store)
    store.write(one.others)
    store.write(one.register)
    one.start()
    while store.rows("SELECT beats FROM drivers")[0][0] < 2:
        pass
    one.leave()
    assert names(store) == []
    assert not one._beating.is_alive()


def test_a_disk_that_takes_no_more_does_not_hold_the_end_of_a_sweep_up(
    store: Store, two: tuple[Drivers, Drivers], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "write", full)
    two[0].leave()


def test_a_folder_of_drivers_is_one_of_its_own_again_once_a_sweep_has_it_alone(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    with Store.writing(folder, shared=True) as store:
        one = Drivers(store)
        store.write(one.others)
        store.write(one.register)
    assert names(Store(folder)) == [one.own]
    with Store.writing(folder):
        pass
    assert Store(folder).rows("SELECT name FROM sqlite_master WHERE name = 'drivers'") == []


@pytest.mark.parametrize(
    "change", ["DROP TABLE claims", "CREATE VIEW evil AS SELECT 1", "ALTER TABLE claims ADD x TEXT"]
)
def test_tables_of_drivers_that_are_not_ours_are_refused(tmp_path: Path, change: str) -> None:
    with Store.writing(tmp_path, shared=True) as store:
        store.write(Drivers(store).others)
        store.write(lambda db: db.execute(change))
    word = change.split()[2]
    with pytest.raises(StoreError, match=rf"\({word}.* not as secateur makes it"):
        Store(tmp_path)
