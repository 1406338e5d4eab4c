"""INT8 points: they stand beside the points that they were made of, and are data like these."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from secateur.errors import StoreError
from secateur.point import Latency, Point, accuracy
from secateur.study.int8_points import (
    FACT,
    int8_point,
    int8_points,
    shown_points,
    source_of,
    write_int8,
)
from secateur.study.plan import Run
from secateur.study.store import Store

SCORES = (accuracy("val", 45, 100), accuracy("test", 44, 100))
TIMED = (Latency(5, 2e-3, 1e-3, 3e-3, "onnxruntime-int8", 1, 1),)
Put = Callable[[Store, Run, Point], None]


@pytest.fixture
def store(tmp_path: Path, make_point: Callable[..., tuple[Run, Point]], put: Put) -> Store:
    """A study of two points, the second of them quantised."""
    pairs = [make_point("dense", (), 50), make_point("magnitude", (0.5,), 48)]
    with Store.writing(tmp_path / "run") as store:
        store.begin({"name": "tiny"}, [run for run, _ in pairs])
        for run, point in pairs:
            put(store, run, point)
        write_int8(store, [int8_point(store.points()[1], SCORES, 123, TIMED)])
    return Store(tmp_path / "run")


def test_it_stands_behind_the_points_of_the_plan(store: Store) -> None:
    (found,) = int8_points(store)
    assert found.source == store.points()[1]
    assert (found.point.method, found.point.level_name) == ("magnitude+int8", "0.5")
    assert (found.point.scores, found.point.artifact_bytes) == (SCORES, 123)
    assert found.point.latency == TIMED
    assert found.point.sparsity == found.source.sparsity
    assert shown_points(store) == (*store.points(), found.point)
    assert source_of(store, found.point) == found.source
    assert source_of(store, found.source) == found.source


def test_times_of_another_run_are_not_shown_beside_newer_ones(store: Store, tmp_path: Path) -> None:
    with Store.writing(tmp_path / "run") as writing:
        writing.write_latencies({one.digest: list(TIMED) for one in writing.points()})
    assert [one.point.latency for one in int8_points(store)] == [()]


def test_a_point_that_is_quantised_again_is_there_once(store: Store, tmp_path: Path) -> None:
    with Store.writing(tmp_path / "run") as writing:
        dense, cut = writing.points()
        write_int8(writing, [int8_point(cut, SCORES, 99), int8_point(dense, SCORES, 400)])
    found = {one.point.method: one.point.artifact_bytes for one in int8_points(store)}
    assert found == {"dense+int8": 400, "magnitude+int8": 99}


def test_a_point_of_an_earlier_plan_is_not_shown(
    store: Store, tmp_path: Path, make_point: Callable[..., tuple[Run, Point]]
) -> None:
    with Store.writing(tmp_path / "run") as writing:
        writing.begin({"name": "tiny"}, [make_point("dense", (), 50)[0]])
    assert int8_points(store) == ()


def hostile(entry: dict[str, str]) -> list[object]:
    other = json.loads(entry["result"])["point"]
    named = json.dumps({"point": {**other, "method": "dense"}})
    return [
        {"a": 1},
        [1],
        [{**entry, "latency": None}],
        [{**entry, "result": "{}"}],
        [{**entry, "result": entry["result"].replace('"part": 45', '"part": 46')}],
        [{**entry, "result": named}],
        [{**entry, "latency": "[1]"}],
    ]


@pytest.mark.parametrize("case", range(7))
def test_a_note_that_cannot_be_is_refused(store: Store, tmp_path: Path, case: int) -> None:
    (entry,) = json.loads(store.fact(FACT) or "")
    with Store.writing(tmp_path / "run") as writing:
        writing.write_fact(FACT, json.dumps(hostile(entry)[case]))
    with pytest.raises(StoreError, match=r"the note of its INT8 points|latency"):
        int8_points(store)


def test_an_int8_point_is_made_of_what_its_source_has(store: Store) -> None:
    source = replace(store.points()[1], curve=({"epoch": 1, "loss": 0.5},))
    made = int8_point(source, SCORES, 5).point
    assert made.digest != source.digest
    assert made.curve == ()
    assert made.epochs == source.epochs
