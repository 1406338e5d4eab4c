"""The tracking observer: it tells trackers what the store holds, while a sweep runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType

from secateur.errors import UsageError
from secateur.registry import TRACKERS
from secateur.report.export_table import to_csv
from secateur.report.figures import figures
from secateur.report.records import metrics, records
from secateur.study.folder import inside
from secateur.study.metrics import quality_of
from secateur.study.plan import Run
from secateur.study.store import Store
from secateur.study.study import CONTROLS
from secateur.tracking.background_worker import PATIENCE, BackgroundWorker
from secateur.tracking.tracker import Result, Tracked, Tracker

_LOG = logging.getLogger("secateur")


class TrackingObserver:
    """Tells trackers of a sweep: an observer, and a context manager around the sweep.

    Epochs are told as they end; whatever is final is read from the store. At the end every run
    of the plan is told once more, for what was measured last (latencies), what an earlier sweep
    finished untracked, and what a tracker missed while it was out of reach.

    Args:
        names: Registered trackers, each once however often it is named.
        folder: The run folder.
        warn: Told when a tracker fails, once each; by default the log `secateur`.
        patience: Seconds to wait at the end for a tracker that makes no progress.

    Raises:
        UnknownNameError: No such tracker.
        UsageError: The tracker's library is missing.
    """

    def __init__(
        self,
        names: Iterable[str],
        folder: Path,
        warn: Callable[[str], None] = _LOG.warning,
        patience: float = PATIENCE,
    ) -> None:
        wanted = [TRACKERS.check(name) for name in dict.fromkeys(names)]
        self.trackers: list[Tracker] = [TRACKERS[name]() for name in wanted]
        self._folder = folder
        self._workers = [
            BackgroundWorker(tracker.name, warn, patience) for tracker in self.trackers
        ]
        self._runs: tuple[Run, ...] = ()
        self._running: dict[str, Run] = {}

    @property
    def where(self) -> list[str]:
        """How to look at what each tracker shows, of those that have not failed."""
        pairs = zip(self.trackers, self._workers, strict=True)
        return [tracker.where for tracker, worker in pairs if self._runs and not worker.broken]

    def __enter__(self) -> TrackingObserver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runs:
            self._conclude(whole=kind is None)
        for worker in self._workers:
            worker.close()

    def _conclude(self, whole: bool) -> None:
        for run in self._running.values():
            self._tell(partial(_stop, run))
        # Whoever stops a sweep does not wait for pictures: the next one draws them.
        files = self._files() if whole and self._workers else {}
        if whole:
            self._tell_results({run.digest for run in self._runs})
        self._tell(lambda tracker: tracker.close(files, whole))

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        """Tell what the study is, and what an earlier sweep has finished."""
        self._runs = runs
        if self._workers:
            study = Tracked(self._folder, Store(self._folder).settings, runs)
            self._tell(lambda tracker: tracker.begin(study))
            self._tell_results(finished)

    def started(self, run: Run) -> None:
        """Tell that a run begins."""
        self._running[run.digest] = run
        self._tell(lambda tracker: tracker.start(run))

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """Tell an epoch."""
        told = dict(values)
        self._tell(lambda tracker: tracker.epoch(run, told))

    def ended(self, run: Run, reason: str) -> None:
        """Tell what the store holds of a run that is done, or why it failed."""
        self._running.pop(run.digest, None)
        if reason:
            self._tell(lambda tracker: tracker.fail(run, reason))
        else:
            self._tell_results({run.digest})

    def timing(self, nets: int) -> None:
        """Nothing: latencies are told at the end."""

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        for tracker, worker in zip(self.trackers, self._workers, strict=True):
            worker.put(partial(what, tracker))

    def _tell_results(self, digests: Collection[str]) -> None:
        for tracker, worker in zip(self.trackers, self._workers, strict=True):
            worker.put(partial(self._finish, tracker, worker, digests))

    def _finish(self, tracker: Tracker, worker: BackgroundWorker, digests: Collection[str]) -> None:
        results = _results(self._folder, digests)
        for run in self._runs:
            if run.digest in results and not worker.broken:
                tracker.finish(run, results[run.digest])
                worker.beat()

    def _files(self) -> dict[str, bytes]:
        """The study's figures and its table; drawn here, for matplotlib is not for threads."""
        points = Store(self._folder).points()
        if not points:
            return {}
        try:
            drawn = figures(points, inside(self._folder, "figures"), controls=CONTROLS)
        except UsageError:
            drawn = []  # matplotlib is optional here as it is everywhere
        found = {f"figures/{path.name}": path.read_bytes() for path in drawn}
        return found | {"points.csv": to_csv(points, CONTROLS)}


def _stop(run: Run, tracker: Tracker) -> None:
    tracker.stop(run)


def _results(folder: Path, digests: Collection[str]) -> dict[str, Result]:
    """What the store holds of finished runs; opened anew, by the thread that asks."""
    if not digests:
        return {}
    store = Store(folder)
    points = store.points()
    measured = {str(record["digest"]): metrics(record) for record in records(points, CONTROLS)}
    scores = (quality_of(points), quality_of(points, "test"))
    return {
        each.digest: Result(
            store.checkpoint(each.digest), measured.get(each.digest, {}), each.curve, scores
        )
        for each in store.trainings()
        if each.digest in digests
    }
