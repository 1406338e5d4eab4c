"""What an executor is: the contract between a sweep and whatever performs its runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

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

    - A job is performed by `secateur.study.run.perform`, once. Its parents' files lie in the run
      folder (`job.setup.folder`), and it writes its own there under its final name only when it is
      whole: an executor on other machines needs that folder shared.
    - Before `perform`, whoever performs the job calls `job.prepare()`, which registers what the
      sweep's process has registered.
    - Every job that was started reports exactly one event of kind `done` or `failed`, with `epoch`
      events before it. One that is lost (a killed process, a machine that is gone) reports
      `failed` with a reason, and takes no other with it.
    - Jobs share one `setup`, which may hold data in memory: it is sent once to each place where
      jobs run, not with each job.
    - Leaving the context ends every job that still runs, and leaves no process behind.

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
