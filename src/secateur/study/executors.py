"""Executors: where runs are performed. Here, in worker processes of this machine.

Each run gets a process of its own, forked from a server that has torch imported already: starting
one takes milliseconds, nothing leaks from run to run, and one that dies takes no other with it
(a process pool of the standard library breaks as a whole when one worker is killed).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

import cloudpickle  # type: ignore[import-untyped]

from secateur.errors import UsageError
from secateur.foundation.threads import cores, sleeping_threads
from secateur.study.run import Job
from secateur.study.worker import work

# What every run imports, imported once: lightning_fabric alone takes a second.
_PRELOADED = ["secateur.study.worker", "lightning_fabric"]
_PATIENCE = 10.0


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


class LocalExecutor:
    """Performs jobs in worker processes; a context manager that leaves none behind.

    Args:
        workers: How many at a time.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        _start_server()
        self._running: dict[Connection, tuple[str, Any]] = {}

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        for entry in self._running.values():
            # Nothing is half-written by it: a run's file gets its name once it is whole.
            entry[1].kill()
        for connection in list(self._running):
            self._forget(connection)

    @property
    def free(self) -> int:
        """How many more jobs can start now."""
        return self.workers - len(self._running)

    @property
    def busy(self) -> bool:
        """Whether any job runs."""
        return bool(self._running)

    def start(self, job: Job) -> None:
        """Start a job in a process of its own."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=work,
            args=(theirs, cloudpickle.dumps(job), os.getcwd(), dict(os.environ)),
            daemon=True,
        )
        process.start()
        theirs.close()
        self._running[ours] = (job.run.digest, process)

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        """Whatever the running jobs have reported, waiting `timeout` seconds for a first report."""
        for ready in wait(list(self._running), timeout):
            if isinstance(ready, Connection):
                yield self._read(ready)

    def _read(self, connection: Connection) -> Event:
        digest = self._running[connection][0]
        try:
            message = connection.recv()
        except (EOFError, OSError):  # the pipe was closed before a message, or within one
            return Event(digest, "failed", {}, _death(self._forget(connection)))
        if message[0] == "epoch":
            return Event(digest, "epoch", message[1])
        self._forget(connection)
        if message[0] == "done":
            return Event(digest, "done", message[1])
        return Event(digest, "failed", {"traceback": message[2]}, message[1])

    def _forget(self, connection: Connection) -> int | None:
        """See a worker to its end; returns its exit code."""
        _, process = self._running.pop(connection)
        # It has said all it had to say: a thread that user code left must not hold up the study.
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
        connection.close()
        code: int | None = process.exitcode
        process.close()
        return code


def _start_server() -> None:
    """Start the server that workers are forked from, deaf to Ctrl-C as they will be.

    It loads OpenMP for all of them, so what their threads do while they wait is settled here.

    Ctrl-C reaches every process of the group, and only this one decides what to do about it. A
    blocked signal stays blocked in all that is forked, so there is no moment at which it could
    end a worker, or the server while it imports, with a traceback on the terminal.
    """
    resource_tracker.ensure_running()  # it would unblock the signal again
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with sleeping_threads():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _death(code: int | None) -> str:
    """Why a process may have died without a word."""
    if code == -signal.SIGKILL:
        return "the worker was killed (SIGKILL), most often because memory ran out"
    if code is not None and code < 0:
        return f"the worker died of {signal.Signals(-code).name}"
    return (
        f"the worker ended with code {code} before the run was done; a script that calls "
        "secateur.sweep needs `if __name__ == '__main__':` around it"
    )


def share_out(workers: int | None, devices: int, threads: int | None = None) -> tuple[int, int]:
    """Workers and threads for this machine.

    On CPUs small nets train faster side by side than on several threads each (see
    benchmarks/training.md), so up to eight cores every core gets a worker; a larger machine gets
    eight workers with the cores shared among them. With GPUs there is one worker for each.

    Args:
        workers: As the user asked; None to choose.
        devices: How many GPUs take part; 0 for none.
        threads: As the user asked, for each worker; None to choose.

    Returns:
        Workers, and threads for each.

    Raises:
        UsageError: The user asked for none, or for less.
    """
    for name, number in (("workers", workers), ("threads", threads)):
        if number is not None and number < 1:
            raise UsageError(
                "running a study",
                name,
                given=str(number),
                expected="1 or more",
                remedy="Leave it out to have it chosen for this machine.",
            )
    if threads:
        return workers or devices or max(1, min(cores() // threads, 8)), threads
    chosen = workers or devices or min(cores(), 8)
    return chosen, max(1, cores() // max(chosen, devices or min(cores(), 8)))
