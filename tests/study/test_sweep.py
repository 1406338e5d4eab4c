"""Whole studies given in Python, performed by real workers."""

import json
import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from secateur.data.images import ImageData
from secateur.data.shapes import shapes
from secateur.errors import ModelError, StoreError, UnknownNameError, UsageError
from secateur.point import Point
from secateur.runtime.kernels import library
from secateur.spec import StudySpec
from secateur.study.aggregate import replicates
from secateur.study.executors.local import LocalExecutor
from secateur.study.plan import Run, plan
from secateur.study.store import Store
from secateur.study.sweep import Silent, run_study

# Levels of few zeros: a study times all such nets of one shape as one.
BASE: dict[str, Any] = {
    "levels": [0.3],
    "training": {"base_epochs": 1, "retrain_epochs": 1},
    "methods": {"magnitude": {}, "dense": {}},
}


def study(**changes: Any) -> StudySpec:
    return StudySpec.model_validate({**BASE, **changes})


@pytest.fixture(scope="module")
def data() -> ImageData:
    return shapes(train=64, val=10, test=10, size=8)


def test_several_devices_train_a_study(tmp_path: Path, data: ImageData) -> None:
    """Workers start the other ranks; what these have trained is measured and written once."""
    settings = {"base_epochs": 1, "retrain_epochs": 1, "devices": 2}
    spec = study(training=settings, methods={"magnitude": {}})
    run_study(spec, tmp_path, model=make_builder(), data=data, timing=False, workers=1)
    store = Store(tmp_path)
    assert store.failures() == ()
    assert [point.method for point in store.points()] == ["dense", "magnitude"]
    for point in store.points():
        assert point.environment["devices"] == "2"
        assert len(point.curve) == 1
    cut = store.points()[1].sparsity
    assert (cut.part, cut.total) == (355, 1182)


def test_what_has_no_place_on_several_devices_is_refused(
    tmp_path: Path, data: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = study(training={"devices": 2}, train="mine:train")
    with pytest.raises(UsageError, match=r"training\.devices is 2 beside `train`"):
        plan(spec, {"data": ""})
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UsageError, match="the sweep is started 4 times over"):
        run_study(study(), tmp_path / "run", model=make_builder(), data=data)
    assert not (tmp_path / "run").exists()


def make_builder(hidden: int = 6) -> Callable[..., nn.Module]:
    # A local function travels to the workers by value: nothing of this module is importable.
    def model(shape: Any, classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(192, hidden), nn.Linear(hidden, classes))

    return model


class Notes(Silent):
    def __init__(self) -> None:
        self.finished: frozenset[str] = frozenset()
        self.told: list[tuple[str, str]] = []

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        self.finished = finished

    def started(self, run: Run) -> None:
        self.told.append(("started", run.digest))

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        self.told.append(("epoch", run.digest))

    def ended(self, run: Run, reason: str) -> None:
        self.told.append((reason or "done", run.digest))


@pytest.fixture
def go(tmp_path: Path, data: ImageData) -> Callable[..., Notes]:
    def run(spec: StudySpec | None = None, **options: Any) -> Notes:
        notes = Notes()
        given = {"model": make_builder(), "data": data, "observer": notes, "timing": False}
        options = {**given, **options}
        run_study(spec or study(), tmp_path / "run", **options)
        return notes

    return run


def points(folder: Path) -> tuple[Point, ...]:
    return tuple(
        replace(point, seconds=0, training_seconds=0, latency=())
        for point in Store(folder / "run").points()
    )


def test_every_run_starts_after_its_parents_and_is_told_from_start_to_end(
    go: Callable[..., Notes], tmp_path: Path
) -> None:
    notes = go(study(levels=[0.3, 0.4]), workers=2, timing=True)
    assert notes.finished == frozenset()
    by_run: dict[str, list[str]] = {}
    for kind, digest in notes.told:
        by_run.setdefault(digest, []).append(kind)
    assert len(by_run) == 5
    assert all(kinds == ["started", "epoch", "done"] for kinds in by_run.values())
    measured = Store(tmp_path / "run").points()
    assert [point.method for point in measured] == ["dense", *["magnitude"] * 2, *["dense"] * 2]
    assert all(point.latency for point in measured)
    base, first, second = (point.digest for point in measured[:3])
    assert notes.told.index(("done", base)) < notes.told.index(("started", first))
    assert notes.told.index(("done", first)) < notes.told.index(("started", second))


def test_a_study_goes_on_with_what_its_new_settings_add(
    go: Callable[..., Notes], tmp_path: Path
) -> None:
    go()
    before = points(tmp_path)
    assert go().told == []
    more = go(study(levels=[0.3, 0.4], name="renamed"))
    started = [digest for kind, digest in more.told if kind == "started"]
    new = {point.digest for point in points(tmp_path)} - {point.digest for point in before}
    assert len(started) == 2  # magnitude's second level, and the dense net's epochs beside it
    assert set(started) == new
    # Back to the old settings: nothing is trained, and the table is as it was.
    assert go().told == []
    assert points(tmp_path) == before


def test_levels_may_be_added_before_and_between_others(
    go: Callable[..., Notes], tmp_path: Path
) -> None:
    methods: dict[str, Any] = {"magnitude": {"schedule": "one-shot"}}
    go(study(levels=[0.4], methods=methods))
    go(study(levels=[0.2, 0.3, 0.4, 0.5], methods=methods))
    found = [(point.level, point.step) for point in points(tmp_path) if point.level]
    assert found == [((0.2,), 0), ((0.3,), 1), ((0.4,), 2), ((0.5,), 3)]
    assert [one.level for one in replicates(points(tmp_path)) if one.level] == [
        level for level, _ in found
    ]


def test_the_numbers_do_not_depend_on_the_workers(go: Callable[..., Notes], tmp_path: Path) -> None:
    spec = study(seeds=2)
    go(spec, workers=1)
    alone = points(tmp_path)
    shutil.rmtree(tmp_path / "run")
    go(spec, workers=3)
    assert points(tmp_path) == alone


def test_a_study_keeps_the_threads_it_began_with(
    go: Callable[..., Notes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"base": 3, "slim": 4, "point": 5}
    with Store.writing(tmp_path / "run") as store:
        store.write_fact("threads", json.dumps(kept))
    used = {}
    start = LocalExecutor.start

    def note(self: Any, job: Any) -> None:
        used[job.run.kind] = job.threads
        start(self, job)

    monkeypatch.setattr(LocalExecutor, "start", note)
    go()
    assert used == {"base": 3, "point": 5}
    assert json.loads(Store(tmp_path / "run").fact("threads") or "") == kept


def test_a_failure_is_told_to_the_observer_and_so_are_the_runs_behind_it(
    go: Callable[..., Notes], tmp_path: Path
) -> None:
    notes = go(study(training={**BASE["training"], "learning_rate": 1e30, "optimizer": "sgd"}))
    reasons = [kind for kind, _ in notes.told if kind not in ("started", "epoch")]
    assert len(reasons) == 3
    assert reasons[0].startswith("training: the loss is not finite")
    assert reasons[1:] == ["not run: dense base seed 0 failed, which it starts from"] * 2
    assert Store(tmp_path / "run").points() == ()


def test_an_observer_that_fails_stops_the_study_which_then_goes_on(
    go: Callable[..., Notes], tmp_path: Path
) -> None:
    class Bad(Silent):
        def epoch(self, run: Run, values: Mapping[str, float]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(observer=Bad())
    assert [how for _, how in Store(tmp_path / "run").attempts()] == [None]
    go()
    assert len(points(tmp_path)) == 3


def test_a_disk_that_fills_up_is_one_message(
    go: Callable[..., Notes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "record_start", full)
    with pytest.raises(StoreError, match=r"disk is full.*finished runs are kept"):
        go()


def test_too_little_room_is_told_before_training(
    go: Callable[..., Notes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    # Three runs' files: 6 x 192 + 6 + 5 x 6 + 5 weights of four bytes each.
    need = 3 * 4 * (6 * 192 + 6 + 5 * 6 + 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, need - 1))
    with pytest.raises(StoreError, match=rf"with {need:,} bytes free"):
        go()
    assert Store(tmp_path / "run").attempts() == ()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, need))
    go()
    # What is finished needs no more room.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 0))
    go()


def test_the_callers_random_numbers_are_left_alone(go: Callable[..., Notes]) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    go(study(methods={"dense": {}}, training={"base_epochs": 0, "retrain_epochs": 0}))
    assert torch.equal(torch.rand(4), wanted)


def test_a_model_that_does_not_fit_is_refused_before_the_folder_is_made(
    go: Callable[..., Notes], tmp_path: Path
) -> None:
    def flat(shape: Any, classes: int) -> nn.Module:
        return nn.Flatten()

    with pytest.raises(ModelError, match=r"of shape \(2, 192\) for 2 examples, expected \(2, 5\)"):
        go(model=flat)
    with pytest.raises(UsageError, match="conv"):
        go(study(methods={"l1-filter": {}}))
    assert not (tmp_path / "run").exists()


# --- what tells one model of a user's own from another -----------------------------------------


def test_other_code_makes_other_runs(go: Callable[..., Notes], tmp_path: Path) -> None:
    go(study(methods={"dense": {}}), model=make_builder(6))
    notes = go(study(methods={"dense": {}}), model=make_builder(7))
    assert len(notes.told) == 3


def test_an_instruction_set_that_is_none_is_told_before_training(
    go: Callable[..., Notes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECATEUR_ISA", "avx521")
    monkeypatch.setattr(library, "library", library.library.__wrapped__)
    monkeypatch.setattr(library, "why_not", library.why_not.__wrapped__)
    with pytest.raises(UnknownNameError, match="SECATEUR_ISA is 'avx521'"):
        go()
    assert not (tmp_path / "run").exists()
