"""MLflow, asked over HTTP, shows what the store holds."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import UsageError
from secateur.report.records import metrics, records
from secateur.study.store import Store
from secateur.study.study import CONTROLS
from secateur.tracking.mlflow import MlflowTracker

SWEEP = ("sweep", "tiny.toml", "--out", "run", "--workers", "2", "--track", "mlflow")


@pytest.fixture(scope="module")
def swept(track: Callable[..., Any], server: str) -> Any:
    return track("mlflow", MLFLOW_TRACKING_URI=server)


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[Any]:
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


def test_every_number_is_the_stores(swept: Any, client: Any) -> None:
    store, found = Store(swept.folder), runs(client)
    points = store.points()
    assert len(points) == 5
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


def test_every_curve_is_the_stores(swept: Any, client: Any) -> None:
    found = runs(client)
    for each in Store(swept.folder).trainings():
        for name in ("loss", "val_accuracy"):
            history = client.get_metric_history(found[each.digest].info.run_id, f"epoch/{name}")
            shown = sorted((entry.step, entry.value) for entry in history)
            assert shown == [(entry["epoch"], entry[name]) for entry in each.curve]


def test_the_files_are_there(swept: Any, client: Any, tmp_path: Path) -> None:
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


def test_the_terminal_says_where_and_nothing_else(swept: Any, server: str) -> None:
    assert f"MLflow: {server}/#/experiments/" in swept.said
    assert "View run" not in swept.said
    assert "Tracking with" not in swept.warned


def test_a_sweep_that_goes_on_adds_what_is_new_and_nothing_twice(swept: Any, client: Any) -> None:
    before = runs(client)
    lost = Store(swept.folder).points()[1]
    Store(swept.folder).checkpoint(lost.digest).unlink()
    again = swept.bench.run(*SWEEP, "--levels", "0.4,0.6")
    assert again.returncode == 0, again.stderr
    after = runs(client)
    new = set(after) - set(before)
    kinds = sorted(after[digest].data.tags["secateur.kind"] for digest in new)
    # The study is another: it has another run of its own beside the three new points.
    assert kinds == ["point", "point", "point", "study"]
    for digest in before:
        assert after[digest].info.run_id == before[digest].info.run_id
    test_every_curve_is_the_stores(swept, client)
    for record in records(Store(swept.folder).points(), CONTROLS):
        shown = after[str(record["digest"])].data.metrics
        assert {k: v for k, v in shown.items() if not k.startswith("epoch/")} == metrics(record)


def test_a_server_that_is_gone_costs_one_warning_and_no_point(track: Callable[..., Any]) -> None:
    gone = "http://127.0.0.1:9"  # the port of `discard`, where nothing listens
    swept = track("mlflow", MLFLOW_TRACKING_URI=gone, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert swept.warned.count("Tracking with mlflow has stopped") == 1
    assert "Traceback" not in swept.warned
    assert "MLflow:" not in swept.said
    assert len(Store(swept.folder).points()) == 5


def test_without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"pip install 'secateur\[track\]'"):
        MlflowTracker()
