"""Run processes: each run in a process of its own, forked from a server that has torch imported.

Starting one takes milliseconds, nothing leaks from run to run, and one that dies takes no other
with it (a process pool of the standard library breaks as a whole when one worker is killed).
Nothing here imports torch: whoever only starts runs does without.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from secateur.foundation.threads import sleeping_threads
from secateur.study.executors.protocol import Event

# What every run imports, imported once: Lightning's fabric alone takes seconds.
_PRELOADED = [
    "secateur.study.worker",
    "secateur.training.fabric",
    "secateur.study.executors.preloaded",
]
_PATIENCE = 10.0


class RunProcesses:
    """The processes of the runs that are being performed on this machine."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        _start_server()
        self._running: dict[Connection, tuple[str, Any]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._running)

    def start(
        self, digest: str, setup: str, job: bytes, folder: str, environment: Mapping[str, str]
    ) -> None:
        """Start a run.

        Args:
            digest: The run's.
            setup: The file with the pickled setup.
            job: The pickled job, without it.
            folder: Where it works.
            environment: Of the process, instead of this one's.
        """
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work, args=(theirs, setup, job, folder, dict(environment)), daemon=True
        )
        process.start()
        theirs.close()
        self._running[ours] = (digest, process)

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        """Whatever the runs have reported, waiting `timeout` seconds for a first report."""
        for ready in wait(list(self._running), timeout):
            if isinstance(ready, Connection):
                yield self._read(ready)

    def stop(self, digest: str) -> None:
        """End one run, which reports that it was killed, unless it has ended before."""
        for own, process in self._running.values():
            if own == digest:
                process.kill()

    def end(self) -> None:
        """End every run."""
        for entry in self._running.values():
            # Nothing is half-written by it: a run's file gets its name once it is whole.
            entry[1].kill()
        for connection in list(self._running):
            self._forget(connection)

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


def _work(*arguments: Any) -> None:
    from secateur.study.worker import work  # it loads torch, which the server has done

    work(*arguments)


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
