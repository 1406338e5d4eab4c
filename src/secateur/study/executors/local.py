"""Executors: where runs are performed. Here, in worker processes of this machine.

Each run gets a process of its own, forked from a server that has torch imported already: starting
one takes milliseconds, nothing leaks from run to run, and one that dies takes no other with it
(a process pool of the standard library breaks as a whole when one worker is killed).
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

import cloudpickle  # type: ignore[import-untyped]

from secateur.foundation.threads import sleeping_threads
from secateur.study.executors.protocol import Event
from secateur.study.job import Job, Setup
from secateur.study.worker import work

# What every run imports, imported once: lightning_fabric alone takes a second.
_PRELOADED = ["secateur.study.worker", "lightning_fabric"]
_PATIENCE = 10.0


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
        self._shared = ""
        self._setups: list[Setup] = []

    def __enter__(self) -> Self:
        self._shared = mkdtemp(prefix="secateur-")
        return self

    def __exit__(self, *_: object) -> None:
        for entry in self._running.values():
            # Nothing is half-written by it: a run's file gets its name once it is whole.
            entry[1].kill()
        for connection in list(self._running):
            self._forget(connection)
        shutil.rmtree(self._shared, ignore_errors=True)

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
            args=(
                theirs,
                self._setup_file(job.setup),
                cloudpickle.dumps(job.without_setup()),
                os.getcwd(),
                dict(os.environ),
            ),
            daemon=True,
        )
        process.start()
        theirs.close()
        self._running[ours] = (job.run.digest, process)

    def _setup_file(self, setup: Setup) -> str:
        """Where workers find what all jobs share: it is written once, data in memory included."""
        known = [one is setup for one in self._setups]
        place = known.index(True) if True in known else len(known)
        path = Path(self._shared) / f"{place}.setup"
        if place == len(known):
            path.write_bytes(cloudpickle.dumps(setup))
            self._setups.append(setup)
        return str(path)

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
