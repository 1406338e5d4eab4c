"""The sweep: perform what the plan has left to do, and keep what comes of it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from secateur.data.data import Data
from secateur.registry import EXECUTORS
from secateur.runtime.kernels import kernels
from secateur.spec import StudySpec
from secateur.study.cut_check import check_study_cuts
from secateur.study.damage import tell_damaged
from secateur.study.executors.protocol import Event, Executor
from secateur.study.executors.workers import share_out
from secateur.study.heartbeat import Heartbeat
from secateur.study.job import Job, Setup
from secateur.study.observer import Observer, Several, Silent
from secateur.study.plan import Run, settings_of
from secateur.study.planned import plan_study
from secateur.study.recording import recording
from secateur.study.same_study import check_same_study, facts_of
from secateur.study.store import Store
from secateur.study.threads import keep_threads, kind_of
from secateur.study.timing import time_points
from secateur.training.device import resolve_device
from secateur.training.loop import Loop
from secateur.verbs.left_out import CutWarning


def run_study(
    study: StudySpec,
    folder: Path,
    *,
    model: Callable[..., nn.Module] | None = None,
    data: Data | None = None,
    given: Loop | None = None,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    timing: bool = True,
    observer: Observer | None = None,
) -> None:
    """Run a study, or go on with one, until every run of its plan has finished or failed.

    Whatever can be known to be wrong is found before anything is trained. A run that fails is
    recorded with its reason, and so are those that need it; the others go on. Finished runs are
    not repeated, unless their files are no longer as they were written, of which a
    `DamageWarning` tells; failed ones are tried again the next time.

    Args:
        study: The settings.
        folder: The run folder; made, or gone on with.
        model: A builder in Python, instead of the settings' name.
        data: Data in Python, likewise.
        given: A task or functions in Python, where the settings say so.
        device: As `resolve_device` reads it; `cuda` without a number uses every GPU.
        workers: Worker processes; None to choose for the machine.
        threads: Of each run, the base nets' too; None to choose for the machine.
        timing: Whether latencies are measured once all runs are done.
        observer: Told of everything that happens.

    Raises:
        UsageError: The study cannot be run as it stands, or `SECATEUR_ISA` is none of this CPU.
        StoreError: The folder cannot be written.
    """
    devices = _devices(device)
    planned = plan_study(study, folder, model=model, data=data, given=given)
    setup, runs = planned.setup, planned.runs
    loaded, loop = planned.data, planned.loop
    kernels.available()  # a wrong SECATEUR_ISA is told before hours of training, not behind them
    size = preflight(setup, loaded, loop)
    count, each = share_out(workers, len([d for d in devices if d != "cpu"]), threads)
    with Store.writing(folder) as store, recording(folder):
        check_same_study(store, setup, runs)
        store.check_room(size * len({run.digest for run in runs} - store.finished()))
        threads_of = keep_threads(store, each, threads, len(study.seeds))
        facts = facts_of(loaded, setup.fingerprint, loop, study.baseline)
        store.write_fact("data", json.dumps(facts))
        store.begin(settings_of(study), runs)
        with Heartbeat(folder) as heartbeat:
            told = Several(heartbeat, observer or Silent())
            _Sweep(store, runs, setup, devices, threads_of, told).run(count)
            if timing:
                time_points(store, setup, loaded, told.timing)


def _devices(name: str) -> list[str]:
    device = resolve_device(name)
    if device.type == "cuda" and name in ("auto", "cuda"):
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [str(device)]


def preflight(setup: Setup, data: Data, loop: Loop) -> int:
    """Build the net, try the loop on it and look for what is pruned; warn where it is little.

    Returns:
        The bytes of one checkpoint.

    Raises:
        ModelError: The net fails, does not answer as its task needs, or has nothing to prune.
    """
    model = setup.build_base(data)
    example = data.example(2)
    training = setup.study.training
    loop.check(data, model, training.temperature if training.distill else None)
    for sentence in check_study_cuts(setup.study, model, example):
        warnings.warn(sentence, CutWarning, stacklevel=2)
    return sum(t.numel() * t.element_size() for t in model.state_dict().values())


@dataclass
class _Sweep:
    """The state of one sweep: what waits, what runs, what is done.

    `sums` are those of the files of all that is done; what has been `remade` once because its file
    was damaged under the sweep's eyes is not made a second time.

    `threads` are given by the kind of a run: while the base nets train there is nothing else to
    do, so they share all the cores.
    """

    store: Store
    runs: tuple[Run, ...]
    setup: Setup
    devices: list[str]
    threads: Mapping[str, int]
    observer: Observer
    failed: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    placed: dict[str, str] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    remade: set[str] = field(default_factory=set)

    def run(self, workers: int) -> None:
        """Perform every run that has not been done."""
        done, self.sums = self.store.finished(), self.store.sums()
        by_digest = {run.digest: run for run in self.runs}
        tell_damaged(self.store, by_digest)
        self.observer.planned(self.runs, frozenset(done))
        waiting = [run for run in self.runs if run.digest not in done]
        if not waiting:
            return  # the workers' server would import torch for nothing
        make: Callable[[int], Executor] = EXECUTORS[self.setup.study.executor]
        with make(workers) as executor:
            while waiting or executor.busy:
                waiting = self._drop_orphans(waiting)
                for run in self._ready(waiting, done)[: executor.free]:
                    if lost := self._lost_parents(run):
                        done -= lost
                        waiting += [by_digest[digest] for digest in lost]
                        continue
                    waiting.remove(run)
                    self._start(executor, run)
                for event in executor.events():
                    run = by_digest[event.digest]
                    if self._handle(run, event) == "done":
                        done.add(run.digest)

    def _lost_parents(self, run: Run) -> set[str]:
        """Parents whose files were damaged since they were done; each of them once."""
        parents = set(run.parents.values()) - self.remade
        lost = {digest for digest in parents if not self.store.verdict(digest).usable}
        self.remade |= lost
        if lost:
            tell_damaged(self.store, {one.digest: one for one in self.runs if one.digest in lost})
        return lost

    def _ready(self, waiting: list[Run], done: set[str]) -> list[Run]:
        """Runs whose parents are done; those that others wait for longest come first."""
        ready = [run for run in waiting if all(p in done for p in run.parents.values())]
        return sorted(ready, key=lambda run: -self._behind[run.digest])

    @cached_property
    def _behind(self) -> dict[str, int]:
        """Epochs on the longest chain of runs that starts with each run."""
        behind: dict[str, int] = {}
        for run in reversed(self.runs):
            behind[run.digest] = behind.get(run.digest, 0) + run.epochs
            for parent in run.parents.values():
                behind[parent] = max(behind.get(parent, 0), behind[run.digest])
        return behind

    def _start(self, executor: Executor, run: Run) -> None:
        device = min(self.devices, key=lambda name: list(self.placed.values()).count(name))
        self.placed[run.digest] = device
        self.attempts[run.digest] = self.store.record_start(run)
        self.observer.started(run)
        sums = {digest: self.sums.get(digest, "") for digest in run.parents.values()}
        executor.start(Job(run, self.setup, device, self._threads_of(run), sums))

    def _threads_of(self, run: Run) -> int:
        return self.threads[kind_of(run)]

    def _handle(self, run: Run, event: Event) -> str:
        if event.kind == "epoch":
            self.observer.epoch(run, event.values)
            return event.kind
        del self.placed[run.digest]
        self.store.record_end(
            self.attempts[run.digest], run, event.kind, event.reason, event.values
        )
        if event.kind == "failed":
            self.failed[run.digest] = run.title
        else:
            self.sums[run.digest] = str(event.values.get("sha256", ""))
        self.observer.ended(run, event.reason)
        return event.kind

    def _drop_orphans(self, waiting: list[Run]) -> list[Run]:
        """Record the runs whose parent failed, and return the others."""
        left = []
        for run in waiting:
            lost = [self.failed[p] for p in run.parents.values() if p in self.failed]
            if not lost:
                left.append(run)
                continue
            reason = f"not run: {lost[0]} failed, which it starts from"
            self.failed[run.digest] = run.title
            self.store.record_end(self.store.record_start(run), run, "failed", reason)
            self.observer.ended(run, reason)
        return left
