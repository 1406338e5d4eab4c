"""Tune: search the settings of a study, each trial a study whose runs an executor performs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from secateur.data.data import Data
from secateur.errors import SecateurError, StoreError
from secateur.registry import EXECUTORS
from secateur.spec import StudySpec, digest
from secateur.study.claims import SoleClaims
from secateur.study.database import FILE as STORE
from secateur.study.executors.workers import MakeExecutor, Places, check_timeout, places_of
from secateur.study.heartbeat import Heartbeat
from secateur.study.job import Setup
from secateur.study.observer import Observer, Several, Silent
from secateur.study.plan import Run, settings_of
from secateur.study.planned import PlannedStudy, plan_study
from secateur.study.recording import recording
from secateur.study.same_study import facts_of
from secateur.study.store import Store
from secateur.study.sweep import Sweep, preflight
from secateur.study.threads import keep_threads
from secateur.training.loop import Loop
from secateur.tuning.audit import TuningAudit
from secateur.tuning.best import write_best
from secateur.tuning.held_executor import HeldExecutor
from secateur.tuning.objective import check_objective, searched_study, value_of
from secateur.tuning.optuna_file import FILE, import_optuna
from secateur.tuning.pruning import TrialPruning
from secateur.tuning.record import FACT, TrialRecord, TuningRecord, read_tuning
from secateur.tuning.space import Space, words_of
from secateur.tuning.trials import BegunTrial, Trials
from secateur.tuning_settings import TuneSpec

TellTuning = Callable[[TuningRecord, Sequence[TrialRecord]], None]
"""Told after each round: the search so far, and the trials that have just ended."""


def tune_study(
    study: StudySpec,
    folder: Path,
    *,
    model: Callable[..., nn.Module] | None = None,
    data: Data | None = None,
    given: Loop | None = None,
    seconds: float | None = None,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    executor: MakeExecutor | None = None,
    observer: Observer | None = None,
    tell: TellTuning | None = None,
) -> TuningRecord:
    """Search a study's settings, or go on with that, until so many trials have ended.

    Every trial is a study whose runs are named by their digests and kept in one run folder: none
    is trained twice. Afterwards the folder is that of the best trial's study, and its `best.toml`
    is the whole study with the settings of that trial. As many trials run at a time as there are
    workers for their seeds.

    Args:
        study: The settings; `tune` says what is searched.
        folder: The run folder; made, or gone on with.
        model: A builder in Python, instead of the settings' name.
        data: Data in Python, likewise.
        given: A task or functions in Python, where the settings say so.
        seconds: After so many no trial is begun.
        device: As for a sweep.
        workers: How many runs at a time; None to choose for the machine.
        threads: Of each run; None to choose for the machine.
        timeout: Seconds after which a run is given up, and its trial has failed; None for never.
        executor: What makes the executor, instead of the settings' name.
        observer: Told of every run.
        tell: Told of the trials that have ended.

    Returns:
        What was found and consumed.

    Raises:
        UsageError: The search cannot be made as it stands, or Optuna is not installed.
        StoreError: The folder cannot be written, or is of another search or of a sweep.
    """
    import_optuna()
    tune = study.tune or TuneSpec()
    space = Space.of(study, tune)
    make: MakeExecutor = executor or EXECUTORS[study.executor]
    places = places_of(make, device, workers, threads)
    check_timeout(timeout)

    def planned(spec: StudySpec) -> PlannedStudy:
        return plan_study(searched_study(spec, tune), folder, model=model, data=data, given=given)

    first = planned(study)
    size = _check_first(first, tune)
    with (
        _connected(make),
        Store.writing(folder) as store,
        recording(folder),
        Trials.open(
            folder,
            space,
            tune,
            _asked(first, tune, space),
            higher=_higher(first, tune),
            before=_before(store),
        ) as found,
        Heartbeat(folder) as heartbeat,
    ):
        told = Several(heartbeat, observer or Silent())
        search = _Search(
            store, found, space, tune, make, places, planned, told, first, size, timeout
        )
        search.begin(threads, seconds, tell or (lambda *_: None))
        return search.record


def _connected(make: MakeExecutor) -> AbstractContextManager[None]:
    """A connection that outlasts the executor of each round, where there is one."""
    connected: Callable[[], AbstractContextManager[None]] | None = getattr(make, "connected", None)
    return nullcontext() if connected is None else connected()


def _check_first(first: PlannedStudy, tune: TuneSpec) -> int:
    """Refuse what can be known to be wrong before anything is trained; the bytes of a file."""
    folder = first.setup.folder
    held = Store(folder) if (folder / STORE).exists() else None
    if held is not None and read_tuning(held) is None and held.points():
        raise StoreError(
            "beginning a search",
            str(folder),
            given="the folder of a sweep",
            expected="a new folder, or that of this search",
            remedy="Name another folder with --out (in Python, out=...).",
        )
    facts = _facts(first)
    check_objective(tune, first.loop.qualities[0].higher, "val_baseline" in facts)
    return preflight(first.setup, first.data, first.loop)


def _facts(first: PlannedStudy) -> dict[str, Any]:
    setup = first.setup
    return facts_of(first.data, setup.fingerprint, first.loop, setup.study.baseline)


def _before(store: Store) -> int:
    """Epochs of a search in this folder whose trials are lost, and with them their counts."""
    lost = None if (store.folder / FILE).exists() else read_tuning(store)
    return 0 if lost is None else lost.epochs + lost.before


def _higher(first: PlannedStudy, tune: TuneSpec) -> bool:
    return tune.objective == "hypervolume" or first.loop.qualities[0].higher


def _asked(first: PlannedStudy, tune: TuneSpec, space: Space) -> dict[str, str]:
    """What has to stay as it is for trials to be of one search."""
    words = tune.model_dump(mode="json", exclude={"trials", "pruner", "space"})
    words["space"] = {each.name: each.search.model_dump(mode="json") for each in space.settings}
    runs = {run.digest for run in first.runs}
    return {"study, data or network": digest({"runs": sorted(runs)}), "space": digest(words)}


@dataclass
class _Search:
    """A search that is under way."""

    store: Store
    trials: Trials
    space: Space
    tune: TuneSpec
    make: MakeExecutor
    places: Places
    planned: Callable[[StudySpec], PlannedStudy]
    observer: Observer
    first: PlannedStudy
    size: int
    timeout: float | None
    record: TuningRecord = field(init=False)

    def begin(self, threads: int | None, seconds: float | None, tell: TellTuning) -> None:
        """Make trials, a round of them at a time."""
        begun, seeds = time.monotonic(), len(self.space.study.seeds)
        width = self._width(seeds)
        self.store.write_fact("data", json.dumps(_facts(self.first)))
        each, shared = self.places.threads, self.places.shared
        of = keep_threads(self.store, each, threads, width * seeds, shared)
        self._conclude()
        while (left := self.tune.trials - self.trials.ended) > 0:
            if seconds is not None and time.monotonic() - begun >= seconds:
                break
            already = {one.number for one in self.record.trials if one.state != "under way"}
            try:
                self._round([self.trials.ask() for _ in range(min(width, left))], of)
            finally:
                self._conclude()
            tell(self.record, [one for one in self.record.trials if one.number not in already])

    def _width(self, seeds: int) -> int:
        """How many trials at a time: each has a base net for each seed."""
        workers = self.places.workers
        if not workers:  # as many as there is room for, which only an executor knows
            with self.make(0) as executor:
                workers = executor.free
        return max(1, workers // seeds)

    def _round(self, begun: Sequence[BegunTrial], threads: Mapping[str, int]) -> None:
        """Perform the runs of some trials together, and tell what came of each."""
        plans = [(one, plan) for one in begun if (plan := self._plan(one)) is not None]
        runs: dict[str, Run] = {}
        setups: dict[str, Setup] = {}
        for _, plan in plans:
            for run in plan.runs:
                runs.setdefault(run.digest, run)
                setups.setdefault(run.digest, plan.setup)
        executor = HeldExecutor(self.make, self.tune.pruner)
        of = [(one, plan.runs) for one, plan in plans]
        pruning = TrialPruning(of, executor.stop)
        # The audit counts what a run was trained before pruning ends it.
        told = Several(TuningAudit(of), *([pruning] * (self.tune.pruner != "none")), self.observer)
        sweep = Sweep(
            self.store,
            setups,
            self.places.devices,
            threads,
            told,
            SoleClaims(self.store),
            self.timeout,
        )
        if runs:
            self.store.check_room(self.size * len(runs.keys() - self.store.finished()))
            sweep.run(tuple(runs.values()), executor, self.places.workers)
        for one, plan in plans:
            if pruning.stopped.isdisjoint(run.digest for run in plan.runs):
                self._tell(one, plan)
            else:
                self.trials.prune(one)

    def _plan(self, begun: BegunTrial) -> PlannedStudy | None:
        try:
            return self.planned(self.space.study_with(self.space.chosen(begun.found)))
        except SecateurError as error:
            self.trials.fail(begun, str(error))
            return None

    def _tell(self, begun: BegunTrial, plan: PlannedStudy) -> None:
        self._show(plan)
        failures = self.store.failures()
        if failures:
            title, reason = failures[0]
            self.trials.fail(begun, f"{title}: {reason}")
        else:
            self.trials.end(begun, value_of(self.store.points(), self.tune))

    def _show(self, plan: PlannedStudy) -> None:
        """Make the folder that of a trial's study, which its table and its page then show."""
        self.store.begin(settings_of(plan.setup.study), plan.runs)

    def _conclude(self) -> None:
        """Write down what was found so far; the folder is that of the best trial."""
        self.record = _record_of(self)
        self.store.write_fact(FACT, json.dumps(self.record.to_dict(), allow_nan=False))
        best = self.record.best
        if best is None:
            return
        study = self.space.study_with(best.settings)
        self._show(self.planned(study))
        write_best(self.store.folder, study, self.record)


def _record_of(search: _Search) -> TuningRecord:
    quality = search.first.loop.qualities[0]
    hypervolume = search.tune.objective == "hypervolume"
    study = search.space.study
    return TuningRecord(
        study=study.name,
        what=search.tune.what,
        label="mean hypervolume"
        if hypervolume
        else f"validation {quality.label or quality.metric}",
        unit="" if hypervolume else quality.unit,
        higher=_higher(search.first, search.tune),
        pruner=search.tune.pruner,
        wanted=search.tune.trials,
        space=tuple(words_of(search.space)),
        trials=search.trials.records(),
        before=study.tuned_epochs + search.trials.before,
    )
