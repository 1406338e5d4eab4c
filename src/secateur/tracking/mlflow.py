"""MLflow: an experiment for a study, a run for a run, their numbers, curves, weights and figures.

Where it writes is MLflow's own decision: `MLFLOW_TRACKING_URI`, or what `mlflow.set_tracking_uri`
said in this process, or MLflow's default, `mlflow.db` and `mlruns` in the working directory.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secateur.errors import UsageError
from secateur.study.plan import Run
from secateur.tracking.tracker import Result, Tracked, tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DIGEST, _KIND, _REASON = "secateur.digest", "secateur.kind", "secateur.reason"
_PARENT, _SOURCE = "mlflow.parentRunId", "mlflow.source.name"
# Limits of MLflow's interface: entries of a batch, characters of a value.
_BATCH, _LONGEST = 900, 5000


class MlflowTracker:
    """Shows a study as an MLflow experiment of its name.

    Every run of the study is a run there, found again by the tag `secateur.digest`; they lie
    under one run for the study itself, which holds the figures and the table. `epoch/loss` and
    `epoch/val_accuracy` (or another score) are curves; the final numbers have the names of
    `secateur export-table`.

    Raises:
        UsageError: mlflow is missing.
    """

    name = "mlflow"

    def __init__(self) -> None:
        # Nothing that secateur does is reported to anyone whom the user did not name.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # Two lines a run on stdout, where the table goes.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        try:
            import mlflow
        except ImportError as missing:
            raise UsageError(
                "tracking with mlflow",
                "mlflow",
                given="not installed",
                expected="the extra 'track'",
                remedy="Run `pip install 'secateur[track]'`.",
            ) from missing
        self._uri: str = mlflow.get_tracking_uri()
        self._experiment = ""
        self._study: Tracked
        self._client: MlflowClient
        self._parent = ""
        self._shown: dict[str, _Shown] = {}

    @property
    def where(self) -> str:
        """The experiment's address, or the command that opens the local database."""
        if self._uri.startswith("http"):
            return f"MLflow: {self._uri.rstrip('/')}/#/experiments/{self._experiment}"
        return f"MLflow: mlflow ui --backend-store-uri {self._uri}"

    def begin(self, study: Tracked) -> None:
        """Find or make the experiment, its runs and the study's own run."""
        from mlflow import MlflowClient

        self._study = study
        self._client = MlflowClient(self._uri)
        found = self._client.get_experiment_by_name(study.name)
        self._experiment = (
            found.experiment_id if found else self._client.create_experiment(study.name)
        )
        for run in self._runs_there():
            shown = _Shown(run.info.run_id, run.info.status == "FINISHED", dict(run.data.metrics))
            digest = run.data.tags[_DIGEST]
            if digest not in self._shown or shown.whole:
                self._shown[digest] = shown
        self._parent = self._study_run()

    def _runs_there(self) -> Iterable[Any]:
        token = None
        while True:
            page = self._client.search_runs([self._experiment], page_token=token)
            yield from (run for run in page if _DIGEST in run.data.tags)
            token = page.token
            if not token:
                return

    def _study_run(self) -> str:
        if self._study.digest in self._shown:
            run_id = self._shown[self._study.digest].run_id
            self._client.update_run(run_id, status="RUNNING")
            return run_id
        words = {_DIGEST: self._study.digest, _KIND: "study", _SOURCE: "secateur"}
        return self._create(self._study.name, words)

    def _create(self, title: str, words: Mapping[str, str]) -> str:
        made = self._client.create_run(self._experiment, tags=dict(words), run_name=title)
        return str(made.info.run_id)

    def start(self, run: Run) -> None:
        """Begin its run anew, unless a whole one is there."""
        shown = self._shown.get(run.digest)
        if shown and shown.whole:
            return
        if shown:
            # Half a curve of an attempt that was killed, or failed: this one says it all again.
            self._client.delete_run(shown.run_id)
        self._begin(run)

    def _begin(self, run: Run) -> _Shown:
        from mlflow.entities import Param

        words = {**tags(run), _PARENT: self._parent, _SOURCE: "secateur"}
        shown = self._shown[run.digest] = _Shown(self._create(run.title, words))
        made_by = self._study.parameters(run).items()
        parameters = [Param(name, value[:_LONGEST]) for name, value in made_by]
        self._client.log_batch(shown.run_id, params=parameters)
        return shown

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """Log another step of its curves."""
        shown = self._shown[run.digest]
        if not shown.whole:
            self._log_curve(shown, [values])

    def finish(self, run: Run, result: Result) -> None:
        """Log what is not there yet, and end its run."""
        shown = self._shown.get(run.digest) or self._begin(run)
        if not shown.whole:
            self._log_curve(shown, [each for each in result.curve if each["epoch"] > shown.epochs])
        fresh = {
            name: value
            for name, value in result.metrics.items()
            if shown.metrics.get(name) != float(value)
        }
        self._log(shown.run_id, [(name, value, 0) for name, value in fresh.items()])
        shown.metrics.update({name: float(value) for name, value in fresh.items()})
        if not shown.whole:
            self._client.log_artifact(shown.run_id, str(result.checkpoint), "checkpoint")
            self._client.set_terminated(shown.run_id, "FINISHED")
            shown.whole = True

    def _log_curve(self, shown: _Shown, entries: Sequence[Mapping[str, float]]) -> None:
        steps = [
            (f"epoch/{name}", entry[name], int(entry["epoch"]))
            for entry in entries
            for name in entry
            if name != "epoch"
        ]
        self._log(shown.run_id, steps)
        shown.epochs = max([shown.epochs, *(step for _, _, step in steps)])

    def _log(self, run_id: str, values: Sequence[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        for first in range(0, len(values), _BATCH):
            batch = values[first : first + _BATCH]
            self._client.log_batch(
                run_id, metrics=[Metric(name, value, now, step) for name, value, step in batch]
            )

    def fail(self, run: Run, reason: str) -> None:
        """End its run as failed, and say why."""
        shown = self._shown.get(run.digest) or self._begin(run)
        self._client.set_tag(shown.run_id, _REASON, reason[:_LONGEST])
        self._client.set_terminated(shown.run_id, "FAILED")

    def stop(self, run: Run) -> None:
        """End its run as killed."""
        shown = self._shown[run.digest]
        if not shown.whole:
            self._client.set_terminated(shown.run_id, "KILLED")

    def close(self, files: Mapping[str, bytes], whole: bool) -> None:
        """Log the study's files, and end its run."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if files:
                self._client.log_artifacts(self._parent, folder)
        self._client.set_terminated(self._parent, "FINISHED" if whole else "KILLED")


class _Shown:
    """What MLflow shows of a run: whether it is whole, its final numbers, the epochs it has."""

    def __init__(
        self, run_id: str, whole: bool = False, metrics: dict[str, float] | None = None
    ) -> None:
        self.run_id = run_id
        self.whole = whole
        self.metrics = metrics or {}
        self.epochs = 0
