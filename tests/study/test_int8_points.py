"""INT8 points: they stand beside the points that they were made of, and are data like these."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from secateur.errors import StoreError, UsageError
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
from secateur.study.rebuild import rebuild
from secateur.study.salvage import read_salvage
from secateur.study.store import Store
from secateur.study.study import RunFolder

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


def test_python_sees_them_as_the_commands_do(store: Store, tmp_path: Path) -> None:
    study = RunFolder(tmp_path / "run")
    assert study.points == shown_points(store)
    small = study.points[-1]
    assert study.checkpoint(small) == study.checkpoint(store.points()[1])
    found = study.pick(min_quality=0.1, x="bytes", at_most={"bytes": 123})
    assert found.met
    assert found.point == small


def test_what_is_picked_in_int8_is_an_onnx_file_or_refused_by_name(
    store: Store, tmp_path: Path
) -> None:
    found = RunFolder(tmp_path / "run").pick(min_quality=0.1, at_most={"bytes": 123})
    with pytest.raises(UsageError, match=r"magnitude\+int8 0.5 .*as a network.*ONNX file"):
        found.load()
    with pytest.raises(UsageError, match=r"as a safetensors file.*a path that ends in \.onnx"):
        found.export(tmp_path / "small.safetensors")


def test_a_damaged_store_keeps_those_that_can_be_read(store: Store, tmp_path: Path) -> None:
    saved = read_salvage(tmp_path / "run")
    assert saved.int8 == 1
    assert "2 points can be saved, 1 of them in INT8, too" in saved.told()
    rebuild(tmp_path / "run", saved)
    assert len(int8_points(Store(tmp_path / "run"))) == 1


def test_a_note_that_is_damaged_costs_no_other_point(store: Store, tmp_path: Path) -> None:
    with Store.writing(tmp_path / "run") as writing:
        text = (writing.fact(FACT) or "").replace('\\"part\\": 45', '\\"part\\": 46')
        assert text != writing.fact(FACT)
        writing.write_fact(FACT, text)
    saved = read_salvage(tmp_path / "run")
    assert "those in INT8 are lost: `secateur quantise`" in saved.told()
    assert len(saved.points) == 2
    rebuild(tmp_path / "run", saved)
    assert shown_points(Store(tmp_path / "run")) == store.points()


def test_a_pick_in_int8_is_quantised_again_from_what_it_was_made_of(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def quantise(made: object, held: object, path: Path, *, seconds: float) -> None:
        asked.append((made, held, seconds))
        path.write_bytes(b"onnx")

    monkeypatch.setattr("secateur.study.stored_pick.point_net", lambda _, point, __: point.digest)
    monkeypatch.setattr("secateur.study.int8.measuring", lambda _, builder: builder)
    monkeypatch.setattr("secateur.study.int8.quantised", quantise)
    found = RunFolder(tmp_path / "run", "mine:net").pick(min_quality=0.1, at_most={"bytes": 123})
    path = found.export()
    assert path == tmp_path / "run" / "exports" / "magnitude-0.5-0-int8.onnx"
    assert found.export(tmp_path / "mine.onnx").read_bytes() == b"onnx"
    assert asked == 2 * [(store.points()[1].digest, "mine:net", 0)]
