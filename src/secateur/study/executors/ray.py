"""Runs on a Ray cluster: each chain is a task of Ray's scheduler, and its files come home.

The sweep's process alone writes the run folder. What all chains share (data included) and the files
that several start from go through Ray's object store once; nothing needs a shared disk.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import cloudpickle  # type: ignore[import-untyped]
import numpy

from secateur.errors import StoreError, UsageError
from secateur.study.executors.chain_task import ChainTask, perform_chain, versions
from secateur.study.executors.protocol import Event
from secateur.study.executors.ray_connection import (
    AUTO,
    check_room,
    connect,
    import_ray,
    slots,
)
from secateur.study.executors.sent_setup import SentSetup, send
from secateur.study.executors.workers import Places, check_counts
from secateur.study.folder import write_whole
from secateur.study.job import Job, Setup
from secateur.study.worker import reason_of

_TRIES = 3
_KEPT = 256
_LOOK = 5.0
_PATIENCE = 60.0


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster, and what of it a run takes; makes executors.

    Args:
        address: `auto`, `local` or `HOST:PORT`; see `secateur.study.executors.ray_connection`.
        cpus: Of each run; below one any fraction.
        gpus: Likewise; with none a run is performed on the CPU.

    Raises:
        UsageError: The numbers are none that Ray can schedule.
    """

    address: str = AUTO
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        for name, number in (("cpus-per-run", self.cpus), ("gpus-per-run", self.gpus)):
            whole = number < 1 or float(number).is_integer()
            if number < 0 or not whole or (name[0] == "c" and not number):
                raise UsageError(
                    "placing runs on Ray",
                    f"--{name}",
                    given=f"{number:g}",
                    expected="a fraction below 1, or a whole number",
                    remedy="Ray divides a CPU or a GPU among runs, and gives several as wholes.",
                )

    def __call__(self, workers: int) -> RayExecutor:
        """An executor of so many runs at a time; 0: as many as the cluster has room for."""
        return RayExecutor(workers, self)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Stay connected while several executors follow each other; `local` is one cluster then."""
        own = connect(self.address)
        try:
            yield
        finally:
            if own:
                import_ray().shutdown()

    def places(self, device: str, workers: int | None, threads: int | None) -> Places:
        """A run has as many threads as CPUs, and the GPU that Ray gives it."""
        import_ray()
        check_counts(workers, threads)
        chosen = ("cuda" if self.gpus else "cpu") if device == "auto" else device
        if chosen.startswith("cuda") and (chosen != "cuda" or not self.gpus):
            raise UsageError(
                "placing runs on Ray",
                "--device",
                given=device,
                expected="auto, or cuda beside --gpus-per-run",
                remedy="Ray chooses the GPU: leave --device out, and say --gpus-per-run 1.",
            )
        each = threads or max(1, int(self.cpus))
        return Places((chosen,), workers or 0, each, each)


@dataclass
class _Chain:
    """A chain under way: what is left of it, its first job being performed now."""

    jobs: deque[Job]
    tries: int = 0
    epoch: int = 0


class RayExecutor:
    """Performs chains of jobs as tasks of a Ray cluster; a `ChainExecutor`.

    Args:
        workers: How many chains at a time; 0: as many as the cluster has room for, and an eighth
            more, which wait in Ray so that no node waits for this process.
        cluster: Where, and with which resources.
    """

    def __init__(self, workers: int, cluster: RayCluster | None = None) -> None:
        self.workers = workers
        self.cluster = cluster or RayCluster()
        self._ray: Any = import_ray()
        self._connected = False
        self._running: dict[Any, _Chain] = {}
        self._stopped: list[Event] = []
        self._setups: list[tuple[Setup, SentSetup, tuple[Any, Any]]] = []
        self._files: OrderedDict[str, Any] = OrderedDict()
        self._looked = self._fitted = time.monotonic()

    def __enter__(self) -> Self:
        self._connected = connect(self.cluster.address)
        try:
            check_room(self.cluster.cpus, self.cluster.gpus)
        except BaseException:
            self.__exit__()
            raise
        self._look(time.monotonic())
        self._task = self._ray.remote(
            num_cpus=self.cluster.cpus,
            num_gpus=self.cluster.gpus,
            max_retries=0,  # a chain goes on where it was, which Ray's own retries do not
            num_returns="streaming",
        )(perform_chain)
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._running:
            self._ray.cancel(stream, force=True)
        self._running.clear()
        self._files.clear()
        self._setups.clear()
        if self._connected:
            self._ray.shutdown()

    def _look(self, now: float) -> None:
        """See how much room there is: nodes come and go."""
        self._looked = now
        found = slots(self.cluster.cpus, self.cluster.gpus)
        if found:
            self._fitted = now
        self._room = self.workers or found + max(1, found // 8)

    @property
    def free(self) -> int:
        """How many more chains can start now."""
        return self._room - len(self._running)

    @property
    def busy(self) -> bool:
        """Whether any chain runs, or has not reported that it was ended."""
        return bool(self._running or self._stopped)

    def start(self, job: Job) -> None:
        """Start a chain of one job."""
        self.start_chain([job])

    def start_chain(self, jobs: Sequence[Job]) -> None:
        """Hand a chain to Ray's scheduler."""
        self._submit(_Chain(deque(jobs)))

    def stop(self, digest: str) -> None:
        """End a run that is performed now, and with it the rest of its chain."""
        for stream, chain in list(self._running.items()):
            if chain.jobs[0].run.digest == digest:
                self._ray.cancel(stream, force=True)
                self._stopped.append(self._failed(stream, chain, "it was told to end"))

    def _submit(self, chain: _Chain) -> None:
        sent, shared = self._sent(chain.jobs[0].setup)
        inside = {job.run.digest for job in chain.jobs}
        parents = {p for job in chain.jobs for p in job.run.parents.values()} - inside
        files = {p: self._file(chain.jobs[0], p) for p in sorted(parents)}
        task = ChainTask(
            tuple(job.run.digest for job in chain.jobs),
            tuple(cloudpickle.dumps(_sent_job(job)) for job in chain.jobs),
            tuple(files),
            sent.environment,
            versions(),
            chain.jobs[0].timeout,
        )
        placed = self._task.options(scheduling_strategy="SPREAD" if chain.tries else "DEFAULT")
        self._running[placed.remote(task, *shared, *files.values())] = chain

    def _sent(self, setup: Setup) -> tuple[SentSetup, tuple[Any, Any]]:
        """What all chains share, in the object store: it is put there once."""
        for known in self._setups:
            if known[0] is setup:
                return known[1:]
        sent = send(setup)
        put = (self._ray.put(sent.pickled), self._ray.put(sent.files))
        self._setups.append((setup, sent, put))
        return sent, put

    def _file(self, job: Job, digest: str) -> Any:
        """A run's file in the object store; those that were used last stay there."""
        if digest not in self._files:
            content = numpy.fromfile(job.file_of(digest), numpy.uint8)
            self._files[digest] = self._ray.put(content)
        self._files.move_to_end(digest)
        while len(self._files) > _KEPT:
            self._files.popitem(last=False)
        return self._files[digest]

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        """Whatever the running chains have reported, waiting `timeout` seconds for a first."""
        stopped, self._stopped = self._stopped, []
        yield from stopped
        now = time.monotonic()
        if now - self._looked > _LOOK:
            self._look(now)
            if now - self._fitted > _PATIENCE:
                yield from self._give_up()
        streams = list(self._running)
        if not streams:
            return
        ready, _ = self._ray.wait(streams, num_returns=1, timeout=timeout)
        if ready and len(streams) > 1:
            ready, _ = self._ray.wait(streams, num_returns=len(streams), timeout=0)
        for stream in ready:
            if stream in self._running:  # whoever was told of an event may have stopped another
                yield from self._read(stream, self._running[stream])

    def _read(self, stream: Any, chain: _Chain) -> Iterator[Event]:
        try:
            event, file = self._ray.get(next(stream))
        except StopIteration:
            yield from self._lost(stream, chain, "it ended without a word")
        except Exception as error:  # whatever the cluster or the task raises
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, self._losses()):
                yield from self._lost(stream, chain, _words(error))
            else:
                yield self._failed(stream, chain, _cannot(cause))
        else:
            yield from self._pass_on(stream, chain, event, file)

    def _pass_on(self, stream: Any, chain: _Chain, event: Event, file: Any) -> Iterator[Event]:
        if event.kind == "epoch":
            epoch = int(event.values["epoch"])
            if epoch > chain.epoch:  # another try tells the first ones again
                chain.epoch = epoch
                yield event
            return
        if event.kind == "failed":
            del self._running[stream]
            yield event
            return
        try:
            write_whole(chain.jobs[0].output, file.tobytes())
        except StoreError as error:
            self._ray.cancel(stream, force=True)
            yield self._failed(stream, chain, reason_of(error))
            return
        chain.jobs.popleft()
        chain.tries = chain.epoch = 0
        if not chain.jobs:
            del self._running[stream]
        yield event

    def _losses(self) -> tuple[type[Exception], ...]:
        """What says that a worker or a node is gone, and nothing of the run."""
        known = self._ray.exceptions
        return (
            known.WorkerCrashedError,
            known.NodeDiedError,
            known.LocalRayletDiedError,
            known.ObjectLostError,
            known.OutOfMemoryError,
        )

    def _lost(self, stream: Any, chain: _Chain, why: str) -> Iterator[Event]:
        """Try the rest of a chain again, a bounded number of times."""
        chain.tries += 1
        if chain.tries < _TRIES:
            try:
                self._submit(chain)
            except OSError as error:  # another sweep has taken the chain over, files and all
                why = f"a file that it starts from cannot be read ({error.strerror or error})"
            else:
                del self._running[stream]
                return
        reason = f"its worker or node was lost {_TRIES} times, in the end because {why}"
        yield self._failed(stream, chain, reason)

    def _failed(self, stream: Any, chain: _Chain, reason: str) -> Event:
        del self._running[stream]
        return Event(chain.jobs[0].run.digest, "failed", {}, reason)

    def _give_up(self) -> Iterator[Event]:
        """Fail what waits for a node that is no more."""
        wanted = f"{self.cluster.cpus:g} CPUs and {self.cluster.gpus:g} GPUs"
        for stream, chain in list(self._running.items()):
            self._ray.cancel(stream, force=True)
            reason = f"no node with {wanted} has been there for {_PATIENCE:.0f} s"
            yield self._failed(stream, chain, reason)


def _sent_job(job: Job) -> Job:
    """A job as it is performed in a folder of its own, where every file has its own name."""
    return replace(job.without_setup(), draft="")


def _words(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line[:200]}"


def _cannot(error: BaseException) -> str:
    """Why a task could not perform its chain at all."""
    text = str(error)
    if "No module named 'secateur" in text:
        return (
            "a node of the cluster cannot import secateur: install the same version there, "
            "for the Python that Ray runs on"
        )
    return reason_of(error)


AUTOMATIC = RayCluster()
"""What `executor = "ray"` in a study file means."""
