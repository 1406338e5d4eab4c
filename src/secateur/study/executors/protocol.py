"""What an executor is: the contract between a sweep and whatever performs its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from secateur.study.job import Job


@dataclass(frozen=True)
class Event:
    """Something that a run reported.

    Attributes:
        digest: The run.
        kind: `epoch`: another epoch has ended; `done` and `failed`: the run has.
        values: The epoch's numbers, or the result.
        reason: Of a failure, in one line.
    """

    digest: str
    kind: Literal["epoch", "done", "failed"]
    values: dict[str, Any]
    reason: str = ""


class Executor(Protocol):
    """Performs jobs somewhere else, several at a time. `registry.EXECUTORS` has them by name.

    A sweep makes one by `executor(workers)`, enters it, and then, from one thread, starts jobs as
    long as `free` is positive and reads `events` until nothing is `busy`. The contract:

    - A job is performed by `secateur.study.run.perform`. Its parents' files lie in the run folder
      (`job.setup.folder`) when it is started, and its own has to lie at `job.output`, whole,
      before it reports `done`. `perform` reads and writes them in the folder of the
      setup that it is given: an executor whose machines do not share the run folder brings the
      parents there, gives `perform` a setup with a folder of its own, and brings the file home.
    - Before `perform`, whoever performs the job calls `job.prepare()`, which registers what the
      sweep's process has registered.
    - Every job that was started reports exactly one event of kind `done` or `failed`, with `epoch`
      events before it, each epoch once. One that is lost (a killed process, a machine that is
      gone) reports `failed` with a reason, and takes no other with it; an executor may try it
      again first, a bounded number of times, for a run gives the same bits wherever it is done.
    - A job that has a `timeout` and has not ended after so many seconds is ended, with whatever it
      has started, and reports `failed`: it may hang in code that hears nothing.
    - Jobs share one `setup`, which may hold data in memory: it is sent once to each place where
      jobs run, not with each job.
    - Leaving the context ends every job that still runs, and leaves no process behind.

    One that also has `start_chain` is a `ChainExecutor`, one with `stop` a `StoppingExecutor`. One
    whose machines are not this one says how jobs are placed there: what makes it then has a method
    `places` (see `secateur.study.executors.workers.places_of`). A search makes an executor for each
    of its rounds: what has to outlast them, a context manager `connected()` of the same holds open.

    Attributes:
        workers: How many jobs it performs at a time.
    """

    workers: int

    def __init__(self, workers: int) -> None:
        """Get ready to perform so many jobs at a time."""

    def __enter__(self) -> Self:
        """Open whatever it needs."""

    def __exit__(self, *error: object) -> None:
        """End the jobs that still run."""

    @property
    def free(self) -> int:
        """How many more jobs can start now."""

    @property
    def busy(self) -> bool:
        """Whether any job runs."""

    def start(self, job: Job) -> None:
        """Start a job; there must be a free place."""

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        """Whatever the running jobs have reported, waiting `timeout` seconds for a first report."""


@runtime_checkable
class ChainExecutor(Executor, Protocol):
    """An executor that is given runs which follow each other as one: it need not move their files.

    A sweep starts chains there instead of jobs. A chain holds one place until it ends. Its jobs are
    performed in their order in one place, and each reports as it does alone; behind one that fails
    the others are not begun and report nothing.
    """

    def start_chain(self, jobs: Sequence[Job]) -> None:
        """Start a chain of at least one job; there must be a free place."""


@runtime_checkable
class StoppingExecutor(Executor, Protocol):
    """An executor that ends a run when it is told to, which the pruners of a search need."""

    def stop(self, digest: str) -> None:
        """End a run that is performed now: it reports that it has failed, if it has not ended."""
