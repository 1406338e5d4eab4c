"""Run processes: each run in a process of its own, forked from a server that has torch imported.

Starting one takes milliseconds, nothing leaks from run to run, and one that dies takes no other
with it (a process pool of the standard library breaks as a whole when one worker is killed).
Nothing here imports torch: whoever only starts runs does without.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from secateur.foundation.own_error import words_of
from secateur.foundation.threads import sleeping_threads
from secateur.study.executors import session
from secateur.study.executors.protocol import Event
from secateur.study.reports import LOST, Report, Reports

# What every run imports, imported once: Lightning's fabric alone takes seconds.
_PRELOADED = [
    "secateur.study.worker",
    "secateur.training.fabric",
    "secateur.study.executors.preloaded",
]
_PATIENCE = 2.0
"""Seconds that a worker has to end in, once its run has or its pipe is closed."""
_UNKNOWN = 255
"""The code of a process whose server is gone, dead or not."""
_UNTOLD = (
    "the worker has lost the pipe by which it reports: code of the run has closed file descriptors "
    "that it had not opened (os.closerange?), or written into them"
)


@dataclass(eq=False)
class _Worker:
    """A run under way: its process, and the end of its pipe that is read."""

    digest: str
    process: Any
    pipe: Connection
    reports: Reports
    timeout: float
    deadline: float

    @property
    def told_dead(self) -> bool:
        """Whether the server says that the process has ended, or is gone itself."""
        return self.process.exitcode is not None

    @property
    def dead(self) -> bool:
        """Whether the process has ended; whoever else holds its pipe does not count."""
        code = self.process.exitcode
        return code is not None and not (code == _UNKNOWN and session.lives(self.process.pid))

    def end(self, patience: float, *, failed: bool) -> None:
        """See the process to its end, and all that it has started.

        Args:
            patience: Seconds until it is killed.
            failed: Whether it may have left behind what it would have ended itself.
        """
        # It has said all it had to say: a thread that user code left must not hold up the study.
        self.process.join(patience)
        if self.told_dead and not self.dead:
            session.wait_for(self.process.pid, patience)
        if self.dead and not failed:
            session.end_group(self.process.pid)
        elif self.dead:
            session.end(self.process.pid, alive=False)
        else:
            session.end(self.process.pid, alive=True)
            self.process.join(_PATIENCE)
        self.pipe.close()
        with suppress(ValueError):  # one that the system does not let go of yet
            self.process.close()


class RunProcesses:
    """The processes of the runs that are being performed on this machine."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        _start_server()
        self._running: list[_Worker] = []
        self._refused: list[Event] = []
        self._suspended_before: Any = None

    def __len__(self) -> int:
        """How many there are."""
        return len(self._running) + len(self._refused)

    def start(
        self,
        digest: str,
        setup: str | bytes,
        job: bytes,
        folder: str,
        environment: Mapping[str, str],
        timeout: float | None = None,
    ) -> None:
        """Start a run; one that cannot be started reports so.

        Args:
            digest: The run's.
            setup: The pickled setup, or the file that holds it.
            job: The pickled job, without it.
            folder: Where it works.
            environment: Of the process, instead of this one's.
            timeout: Seconds after which it is given up; None for never.
        """
        arguments = (setup, job, folder, dict(environment))
        self._hear_suspension()
        for last in (False, True):
            try:
                self._running.append(self._started(digest, arguments, timeout or math.inf))
            except (OSError, EOFError) as error:  # the server was killed, or the system is full
                if last:
                    reason = f"no process could be started for the run ({words_of(error)})"
                    self._refused.append(Event(digest, "failed", {}, reason))
                    return
            else:
                return

    def _started(self, digest: str, arguments: tuple[Any, ...], timeout: float) -> _Worker:
        _start_server()
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(theirs, *arguments), daemon=True)
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        deadline = time.monotonic() + timeout
        return _Worker(digest, process, ours, Reports(ours.fileno()), timeout, deadline)

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        """Whatever the runs have reported, waiting `timeout` seconds for a first report."""
        refused, self._refused = self._refused, []
        yield from refused
        soonest = min((one.deadline for one in self._running), default=math.inf)
        watched: list[Any] = [one.pipe for one in self._running]
        # A worker that is dead says so here even if a process that it forked holds its pipe.
        watched += [one.process.sentinel for one in self._running if not one.told_dead]
        wait(watched, max(0.0, min(timeout, soonest - time.monotonic())) if not refused else 0.0)
        for one in list(self._running):
            dead = one.dead  # asked first: what it said last is in the pipe by then
            if one.pipe.poll():
                yield from self._read(one)
            elif dead:
                yield self._failed(one)
            elif time.monotonic() >= one.deadline:
                yield self._given_up(one)

    def _read(self, one: _Worker) -> Iterator[Event]:
        try:
            reports = one.reports.read()
        except ValueError:
            self._kill(one)
            yield Event(one.digest, "failed", {}, _UNTOLD)
            return
        if reports is None:
            yield self._failed(one)
            return
        for report in reports:
            if report[0] != "epoch":
                self._running.remove(one)
                one.end(_PATIENCE, failed=False)
            yield _event(one.digest, report)
            if report[0] != "epoch":
                return

    def _failed(self, one: _Worker) -> Event:
        """What becomes of a run whose worker says no more."""
        one.process.join(_PATIENCE)
        reason = _death(one.process.exitcode) if one.told_dead else _UNTOLD
        self._kill(one)
        return Event(one.digest, "failed", {}, reason)

    def _given_up(self, one: _Worker) -> Event:
        self._kill(one)
        reason = (
            f"given up after {one.timeout:g} seconds (--timeout): it had not ended, and was killed "
            "with all that it had started"
        )
        return Event(one.digest, "failed", {}, reason)

    def _kill(self, one: _Worker) -> None:
        self._running.remove(one)
        one.end(0.0, failed=True)

    def stop(self, digest: str) -> None:
        """End one run, which reports that it was killed, unless it has ended before."""
        for one in self._running:
            if one.digest == digest and not one.dead:
                session.end(one.process.pid, alive=True)

    def end(self) -> None:
        """End every run."""
        for one in self._running:
            # Nothing is half-written by it: a run's file gets its name once it is whole.
            session.signal_group(one.process.pid, signal.SIGKILL)
        for one in list(self._running):
            self._kill(one)
        if self._suspended_before is not None:
            signal.signal(signal.SIGTSTP, self._suspended_before)
            self._suspended_before = None

    def _hear_suspension(self) -> None:
        """Ctrl-Z reaches the sweep alone, for its workers lead sessions of their own."""
        with suppress(ValueError):  # where this is not the main thread
            if signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
                self._suspended_before = signal.signal(signal.SIGTSTP, self._suspend)

    def _suspend(self, *_: object) -> None:
        """Stop with every worker until somebody continues this process."""
        begun = time.monotonic()
        for one in self._running:
            session.signal_group(one.process.pid, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        for one in self._running:
            session.signal_group(one.process.pid, signal.SIGCONT)
            one.deadline += time.monotonic() - begun


def _event(digest: str, report: Report) -> Event:
    if report[0] == "failed":
        return Event(digest, "failed", {"traceback": report[2]}, report[1])
    return Event(digest, report[0], report[1])


def _work(*arguments: Any) -> None:
    session.lead()
    from secateur.study.worker import work  # it loads torch, which the server has done

    try:
        work(*arguments)
    finally:
        session.end_started()
        _settle_streams()


def _settle_streams() -> None:
    """Leave nothing for Python to fail at as it ends, where user code has closed a stream."""
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except (OSError, ValueError, AttributeError):
            setattr(sys, name, None)


def _start_server() -> None:
    """Start the server that workers are forked from, deaf to Ctrl-C as they will be.

    It loads OpenMP for all of them, so what their threads do while they wait is settled here. One
    that was killed is started anew.

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
        return f"the worker died of {_name_of(-code)}"
    if code == LOST:
        return _UNTOLD
    if code == _UNKNOWN:
        return "the worker was lost with the server that had started it"
    return (
        f"the worker ended with code {code} before the run was done; a script that calls "
        "secateur.sweep needs `if __name__ == '__main__':` around it"
    )


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # of real time
        return f"signal {number}"
