"""The sweep: perform what the plan has left to do, and keep what comes of it."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from torch import nn

from secateur.data.data import Data
from secateur.registry import EXECUTORS
from secateur.runtime.kernels import kernels
from secateur.spec import StudySpec
from secateur.study.claims import Claims, Ending, SoleClaims
from secateur.study.cut_check import check_study_cuts
from secateur.study.damage import tell_damaged
from secateur.study.executors.preloaded import preloading
from secateur.study.executors.protocol import ChainExecutor, Event, Executor
from secateur.study.executors.workers import (
    MakeExecutor,
    check_no_torchrun,
    check_timeout,
    places_of,
)
from secateur.study.folder import check_folder
from secateur.study.heartbeat import Heartbeat
from secateur.study.job import Job, Setup
from secateur.study.libraries import libraries_of
from secateur.study.observer import Observer, Several, Silent
from secateur.study.own_code import own_code
from secateur.study.plan import Run, settings_of
from secateur.study.planned import plan_study
from secateur.study.recording import recording
from secateur.study.run_queue import RunQueue
from secateur.study.same_study import check_same_study, facts_of
from secateur.study.shared_claims import SharedClaims, forget_drivers
from secateur.study.store import Store
from secateur.study.stored_example import FACT, ROWS, example_values
from secateur.study.threads import keep_threads, kind_of
from secateur.study.timing import time_points
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
    shared: bool = False,
    timeout: float | None = None,
    executor: MakeExecutor | None = None,
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
        workers: How many runs at a time; None to choose for the machine.
        threads: Of each process of a run, the base nets' too; None to choose for the machine.
        timing: Whether latencies are measured, on this machine, once all runs are done.
        shared: Whether other sweeps of the same study may share the folder, which say so, too: each
            run is done by one of them, and each of them ends once all are done.
        timeout: Seconds after which a run is given up, and counts as failed; None for never.
        executor: What makes the executor, instead of the settings' name.
        observer: Told of everything that happens.

    Raises:
        UsageError: The study cannot be run as it stands, or `SECATEUR_ISA` is none of this CPU.
        StoreError: The folder cannot be written.
    """
    make: MakeExecutor = executor or EXECUTORS[study.executor]
    check_no_torchrun()
    places = places_of(make, device, workers, threads, study.training.devices)
    check_timeout(timeout)
    check_folder(folder)
    kernels.available()  # a wrong SECATEUR_ISA is told before hours of training, not behind them
    planned = plan_study(study, folder, model=model, data=data, given=given)
    loaded, loop, runs = planned.data, planned.loop, planned.runs
    size = preflight(planned.setup, loaded, loop)
    setup = planned.with_sources().setup
    with (
        ExitStack() as held,
        Store.writing(folder, shared=shared) as store,
        recording(folder),
        _claims_on(store, shared) as claims,
    ):
        threads_of: dict[str, int] = {}
        if shared:
            held.callback(forget_drivers, folder)

        def begin(joining: bool) -> None:
            check_same_study(store, setup, runs)
            store.check_room(size * len({run.digest for run in runs} - store.finished()))
            threads_of.update(
                keep_threads(
                    store, places.threads, threads, len(study.seeds), places.shared, joining
                )
            )
            facts = facts_of(loaded, setup.fingerprint, loop, study.baseline)
            store.write_fact("data", json.dumps(facts))
            # A point is rebuilt and exported without the data, wherever the run folder is taken.
            store.write_fact(FACT, json.dumps(example_values(loaded.example(ROWS))))
            store.begin(settings_of(study), runs)

        claims.join([run.digest for run in runs], begin)
        with Heartbeat(folder, shared=shared) as heartbeat:
            told = Several(heartbeat, observer or Silent())
            setups = dict.fromkeys((run.digest for run in runs), setup)
            state = Sweep(store, setups, places.devices, threads_of, told, claims, timeout)
            state.run(runs, make, places.workers)
            if timing:
                with claims.alone("timing"), own_code("timing a study's nets"):
                    time_points(store, setup, loaded, told.timing)


def _claims_on(store: Store, shared: bool) -> Claims:
    return SharedClaims(store) if shared else SoleClaims(store)


@own_code("trying a study's network")
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
        warnings.warn(sentence, CutWarning, stacklevel=3)
    return sum(t.numel() * t.element_size() for t in model.state_dict().values())


@dataclass
class Sweep:
    """The state of one sweep: what waits, what runs, what is done.

    `setups` are given by the digest of a run: several studies may be swept as one.

    `sums` are those of the files of all that is done; what has been `remade` once because its file
    was damaged under the sweep's eyes is not made a second time.

    Runs that are `elsewhere` are claimed by another sweep of the same folder.

    `threads` are given by the kind of a run: while the base nets train there is nothing else to
    do, so they share all the cores.
    """

    store: Store
    setups: Mapping[str, Setup]
    devices: tuple[str, ...]
    threads: Mapping[str, int]
    observer: Observer
    claims: Claims
    timeout: float | None = None
    elsewhere: set[str] = field(default_factory=set)
    attempts: dict[str, int] = field(default_factory=dict)
    following: dict[str, Run] = field(default_factory=dict)
    placed: dict[str, str] = field(default_factory=dict)
    in_use: Counter[str] = field(default_factory=Counter)
    sums: dict[str, str] = field(default_factory=dict)
    remade: set[str] = field(default_factory=set)
    by_digest: dict[str, Run] = field(default_factory=dict)

    def run(self, runs: Sequence[Run], make: MakeExecutor, workers: int) -> None:
        """Perform every run that has not been done."""
        done, self.sums = self.store.finished(), self.store.sums()
        self.by_digest = {run.digest: run for run in runs}
        tell_damaged(self.store, self.by_digest)
        self.observer.planned(tuple(runs), frozenset(done))
        queue = RunQueue(runs, done)
        self._hear(queue)
        if not queue and not self.elsewhere:
            return  # the workers' server would import torch for nothing
        with preloading(libraries_of(self.setups.values())):
            made = make(workers)
        with made as executor:
            while queue or executor.busy or self.elsewhere:
                while queue.ready and executor.free > 0:
                    self._start(executor, queue)
                for event in executor.events():
                    self._handle(self.by_digest[event.digest], event, queue)
                self._hear(queue)
                if self.elsewhere and not (executor.busy or queue.ready):
                    self.claims.pause()

    def _hear(self, queue: RunQueue, now: bool = False) -> None:
        """Take in what other sweeps of the folder did: what has ended, what is claimed and free."""
        news = self.claims.news(now)
        for ending in news.endings:
            self._ended_elsewhere(ending, queue)
        self.elsewhere |= queue.set_aside(news.held)
        free = self.elsewhere.difference(news.held)
        self.elsewhere -= free
        queue.put_back(free)

    def _ended_elsewhere(self, ending: Ending, queue: RunQueue) -> None:
        run = self.by_digest.get(ending.digest)
        if run is None:
            return
        if ending.status == "done":
            self.sums[run.digest] = ending.sha256
        if run.digest not in queue:
            return
        self.observer.ended(run, ending.reason)
        if ending.status == "done":
            queue.end(run)
        else:
            self._drop_orphans(run, queue)

    def _start(self, executor: Executor, queue: RunQueue) -> None:
        """Start the next run, or the next chain where the executor takes chains."""
        takes_chains = isinstance(executor, ChainExecutor)
        chain = queue.take_chain() if takes_chains else (queue.take(),)
        if lost := self._lost_parents(chain):
            queue.make_again(lost, chain)
            return
        if not self.claims.claim(chain):
            queue.put_back(run.digest for run in chain)
            self._hear(queue, now=True)
            return
        device = min(self.devices, key=lambda name: self.in_use[name])
        jobs = [self._job(run, device) for run in chain]
        self.following |= {run.digest: after for run, after in pairwise(chain)}
        self._begin(chain[0], device)
        if isinstance(executor, ChainExecutor):
            executor.start_chain(jobs)
        else:
            executor.start(jobs[0])

    def _job(self, run: Run, device: str) -> Job:
        sums = {digest: self.sums.get(digest, "") for digest in run.parents.values()}
        setup, threads = self.setups[run.digest], self.threads[kind_of(run)]
        return Job(run, setup, device, threads, sums, self.claims.draft(run), self.timeout)

    def _lost_parents(self, chain: Sequence[Run]) -> set[str]:
        """Parents whose files were damaged since they were done; each of them once."""
        inside = {run.digest for run in chain}
        parents = {parent for run in chain for parent in run.parents.values()}
        lost = {
            digest
            for digest in parents - inside - self.remade
            if not self.store.verdict(digest).usable
        }
        self.remade |= lost
        if lost:
            tell_damaged(self.store, {digest: self.by_digest[digest] for digest in lost})
        return lost

    def _begin(self, run: Run, device: str) -> None:
        self.placed[run.digest] = device
        self.in_use[device] += 1
        self.attempts[run.digest] = self.claims.begin(run)
        self.observer.started(run)

    def _handle(self, run: Run, event: Event, queue: RunQueue) -> None:
        if event.kind == "epoch":
            self.observer.epoch(run, event.values)
            return
        device = self.placed.pop(run.digest)
        self.in_use[device] -= 1
        following = self.following.pop(run.digest, None)
        attempt = self.attempts.pop(run.digest)
        if not self.claims.end(attempt, run, event.kind, event.reason, event.values):
            queue.put_back([run.digest])
        elif event.kind == "failed":
            self.observer.ended(run, event.reason)
            self._drop_orphans(run, queue)
        else:
            self.sums[run.digest] = str(event.values.get("sha256", ""))
            self.observer.ended(run, event.reason)
            queue.end(run)
        if event.kind == "failed":
            self._end_chain(following, queue)
        elif following is not None:
            self._begin(following, device)

    def _end_chain(self, run: Run | None, queue: RunQueue) -> None:
        """Let what followed a failed run wait again; nothing, unless the run was taken over."""
        while run is not None:
            queue.put_back([run.digest])
            run = self.following.pop(run.digest, None)

    def _drop_orphans(self, run: Run, queue: RunQueue) -> None:
        """Record the runs that start from one that failed, or from one of those."""
        for orphan, parent in queue.fail(run):
            reason = f"not run: {parent.title} failed, which it starts from"
            self.claims.skip(orphan, reason)
            self.observer.ended(orphan, reason)
