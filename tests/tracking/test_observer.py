"""A real sweep under both trackers; a real MLflow server and TensorBoard's own reader are asked."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secateur.errors import UnknownNameError
from secateur.report.records import metrics, records
from secateur.study.plan import Run
from secateur.study.store import Store
from secateur.study.study import CONTROLS
from secateur.tracking.observer import TrackingObserver

POINTS = 5


# --- MLflow ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(server: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    return MlflowClient(server)


def runs(client: Any, name: str = "tracked") -> dict[str, Any]:
    """Every run of the study's experiment by its digest, none twice."""
    experiment = client.get_experiment_by_name(name)
    found = client.search_runs([experiment.experiment_id])
    by_digest = {run.data.tags["secateur.digest"]: run for run in found}
    assert len(by_digest) == len(found)
    return by_digest


def test_every_run_is_there_and_finished(swept: Any, client: Any) -> None:
    found = runs(client)
    (study,) = [run for run in found.values() if run.data.tags["secateur.kind"] == "study"]
    trainings = {each.digest: each for each in Store(swept.folder).trainings()}
    assert set(found) - {study.data.tags["secateur.digest"]} == set(trainings)
    assert "slim" in {each.kind for each in trainings.values()}
    for digest, each in trainings.items():
        run = found[digest]
        assert run.info.status == "FINISHED"
        assert run.info.run_name == each.title
        assert run.data.tags["secateur.kind"] == each.kind
        assert run.data.tags["mlflow.parentRunId"] == study.info.run_id
        for role, parent in each.parents.items():
            assert run.data.tags[f"secateur.parent.{role}"] == parent


def test_mlflow_shows_every_number(swept: Any, client: Any) -> None:
    store, found = Store(swept.folder), runs(client)
    points = store.points()
    assert len(points) == POINTS
    assert all(point.latency for point in points)
    for record in records(points, CONTROLS):
        run = found[str(record["digest"])]
        shown = {k: v for k, v in run.data.metrics.items() if not k.startswith("epoch/")}
        assert shown == metrics(record)
        for name in ("method", "level", "seed"):
            assert run.data.tags[f"secateur.{name}"] == str(record[name])
            assert run.data.params[name] == str(record[name])
        assert run.data.params["training.base_epochs"] == "2"
        assert run.data.params["model"] == "tiny:net"


def test_mlflow_shows_every_curve(swept: Any, client: Any) -> None:
    found = runs(client)
    for each in Store(swept.folder).trainings():
        for name in ("loss", "val_accuracy"):
            history = client.get_metric_history(found[each.digest].info.run_id, f"epoch/{name}")
            shown = sorted((entry.step, entry.value) for entry in history)
            assert shown == [(entry["epoch"], entry[name]) for entry in each.curve]


def test_mlflow_holds_the_files(swept: Any, client: Any, tmp_path: Path) -> None:
    found, store = runs(client), Store(swept.folder)
    point = store.points()[-1]
    held = client.download_artifacts(found[point.digest].info.run_id, "checkpoint", str(tmp_path))
    (file,) = Path(held).iterdir()
    assert file.read_bytes() == store.checkpoint(point.digest).read_bytes()
    (study,) = [run for run in found.values() if run.data.tags["secateur.kind"] == "study"]
    names = [each.path for each in client.list_artifacts(study.info.run_id, "figures")]
    assert "figures/test-accuracy-sparsity.png" in names
    table = Path(client.download_artifacts(study.info.run_id, "points.csv", str(tmp_path)))
    assert table.read_text() == swept.bench.run("export-table", "run").stdout


# --- TensorBoard -------------------------------------------------------------------------------


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def scalars(events: Any) -> dict[str, list[tuple[int, float]]]:
    """Every scalar as (step, value), in the order in which it was written."""
    return {
        tag: [(each.step, each.value) for each in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def single(value: float) -> float:
    """What is left of a number in single precision, TensorBoard's own."""
    return float(np.float32(value))


def text(events: Any, tag: str) -> str:
    """The last text of a tag."""
    words: str = events.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()
    return words.replace("\\", "")  # Markdown's escapes, which TensorBoard takes out


def folder_of(run: Path, digest: str) -> Path:
    (found,) = (run / "tensorboard").glob(f"*-{digest[:8]}")
    return found


def check(run: Path) -> None:
    store = Store(run)
    measured = {str(each["digest"]): each for each in records(store.points(), CONTROLS)}
    for each in store.trainings():
        shown = scalars(read(folder_of(run, each.digest)))
        for name in ("loss", "val_accuracy"):
            wanted = [(entry["epoch"], single(entry[name])) for entry in each.curve]
            assert shown.pop(f"epoch/{name}", []) == wanted
        record = measured.get(each.digest)
        final = {name: entries[-1] for name, entries in shown.items()}
        if record is None:
            assert final == {}
            continue
        step = record["cumulative_epochs"]
        exact = metrics(record)
        assert final == {name: (step, single(value)) for name, value in exact.items()}
        shown_exactly = text(read(folder_of(run, each.digest)), "measured")
        for name, value in exact.items():
            assert f"| {name} | {value!r} |" in shown_exactly


def test_tensorboard_shows_every_number_and_curve(swept: Any) -> None:
    assert len(Store(swept.folder).points()) == POINTS
    check(swept.folder)


def test_tensorboard_says_what_made_a_run(swept: Any) -> None:
    point = Store(swept.folder).points()[1]
    events = read(folder_of(swept.folder, point.digest))
    words = text(events, "made by")
    for word in (point.digest, "| method | magnitude |", "| level | 0.4 |", "training.base_epochs"):
        assert word in words
    assert {"_hparams_/experiment", "_hparams_/session_start_info"} <= set(events.summary_metadata)


def test_tensorboard_shows_the_figures(swept: Any) -> None:
    events = read(swept.folder / "tensorboard" / "study")
    assert "figures/test-accuracy-sparsity.png" in events.Tags()["images"]


# --- both --------------------------------------------------------------------------------------


def test_the_terminal_says_where_to_look_and_nothing_else(swept: Any, server: str) -> None:
    assert f"MLflow: {server}/#/experiments/" in swept.said
    assert "TensorBoard: tensorboard --logdir run/tensorboard" in swept.said
    assert "View run" not in swept.said
    assert "Tracking with" not in swept.warned


def planned(store: Store) -> tuple[Run, ...]:
    """The runs of a store as its plan had them."""
    points = {point.digest: point for point in store.points()}
    found = []
    for each in store.trainings():
        point = points.get(each.digest)
        method, level, step = (
            (point.method, point.level, point.step) if point else ("slimming", (), 0)
        )
        spent = (
            {name: getattr(point.epochs, name) for name in ("base", "sparsity", "retrain")}
            if point
            else {"base": 2, "sparsity": 2, "retrain": 0}
        )
        kind: Any = each.kind
        found.append(
            Run(
                *(each.digest, kind, method, level, step, 0, 0, each.parents, len(each.curve)),
                spent=spent,
                preparing="" if point else "sparsity training",
            )
        )
    return tuple(found)


def tell(tracking: TrackingObserver, run: Run, curve: tuple[Mapping[str, float], ...]) -> None:
    tracking.started(run)
    for entry in curve:
        tracking.epoch(run, entry)


def interrupt(
    tracking: TrackingObserver, plan: tuple[Run, ...], finished: frozenset[str], half: Any
) -> None:
    """A sweep that Ctrl-C stops in its second run."""
    with tracking:
        tracking.planned(plan, finished)
        tell(tracking, plan[1], half)
        raise KeyboardInterrupt


def test_a_sweep_that_goes_on_adds_what_is_new_and_nothing_twice(
    swept: Any, client: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last sweep was killed in its second run, and another was lost from the disk."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    store, before, warned = Store(swept.folder), runs(client), list[str]()
    plan = planned(store)
    curves = {each.digest: each.curve for each in store.trainings()}
    killed, lost = plan[1], plan[2]
    half = curves[killed.digest][:1]
    client.delete_run(before[killed.digest].info.run_id)
    shutil.rmtree(folder_of(swept.folder, killed.digest))
    finished = frozenset(run.digest for run in plan) - {killed.digest, lost.digest}
    trackers = ["mlflow", "tensorboard"]
    tracking = TrackingObserver(trackers, swept.folder, warned.append)
    with pytest.raises(KeyboardInterrupt):
        interrupt(tracking, plan, finished, half)
    assert runs(client)[killed.digest].info.status == "KILLED"
    with TrackingObserver(trackers, swept.folder, warned.append) as tracking:
        tracking.planned(plan, finished)
        tell(tracking, killed, curves[killed.digest])
        tracking.ended(killed, "")
        tell(tracking, lost, curves[lost.digest])
        tracking.ended(lost, "")
    assert warned == []
    after = runs(client)
    assert set(after) == set(before)
    for digest in set(before) - {killed.digest}:
        assert after[digest].info.run_id == before[digest].info.run_id
    assert after[killed.digest].info.run_id != before[killed.digest].info.run_id
    test_mlflow_shows_every_curve(swept, client)
    test_mlflow_shows_every_number(swept, client)
    check(swept.folder)


def test_a_study_swept_untracked_is_shown_whole_later(
    swept: Any, client: Any, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    folder = tmp_path / "run"
    shutil.copytree(swept.folder, folder, ignore=shutil.ignore_patterns("tensorboard"))
    plan = planned(Store(folder))
    with TrackingObserver(["tensorboard", "tensorboard"], folder) as tracking:
        assert len(tracking.trackers) == 1
        tracking.planned(plan, frozenset(run.digest for run in plan))
    check(folder)


def test_a_failure_says_why(swept: Any, client: Any, server: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    whole = planned(Store(swept.folder))[0]
    failed = Run("f" * 64, "point", "magnitude", (0.9,), 1, 1, 0, {}, 1, whole.spent)
    with TrackingObserver(["mlflow", "tensorboard"], swept.folder) as tracking:
        tracking.planned((whole, failed), frozenset({whole.digest}))
        tracking.ended(failed, "not run: dense base seed 0 failed")
    shown = runs(client)[failed.digest]
    assert shown.info.status == "FAILED"
    assert shown.data.tags["secateur.reason"] == "not run: dense base seed 0 failed"
    events = read(folder_of(swept.folder, failed.digest))
    assert text(events, "failed") == "not run: dense base seed 0 failed"


def test_a_server_that_is_gone_costs_one_warning_and_the_other_goes_on(
    swept: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The port of `discard`, where nothing listens.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder, warned = tmp_path / "run", list[str]()
    shutil.copytree(swept.folder, folder, ignore=shutil.ignore_patterns("tensorboard"))
    plan = planned(Store(folder))
    with TrackingObserver(["mlflow", "tensorboard"], folder, warned.append) as tracking:
        tracking.planned(plan, frozenset())
        for run in plan:
            tracking.started(run)
            tracking.ended(run, "")
    assert len(warned) == 1
    assert warned[0].startswith("Tracking with mlflow has stopped: MlflowException")
    assert [place.split(":")[0] for place in tracking.where] == ["TensorBoard"]


def test_an_unknown_tracker_is_known_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mlflow'"):
        TrackingObserver(["mlfow"], tmp_path)


def test_without_trackers_nothing_is_read_or_written(tmp_path: Path) -> None:
    with TrackingObserver([], tmp_path) as tracking:
        tracking.planned((), frozenset())
        tracking.timing(3)
    assert tracking.where == []
    assert not list(tmp_path.iterdir())
