"""Jobs that misbehave in every way a worker can; the model's builder is where they do."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from secateur.data.images import ImageData
from secateur.data.shapes import shapes
from secateur.errors import UsageError
from secateur.spec import StudySpec
from secateur.study.executors import processes
from secateur.study.executors import workers as sharing
from secateur.study.executors.local import LocalExecutor
from secateur.study.executors.protocol import Event
from secateur.study.executors.workers import share_out
from secateur.study.job import Job, Setup
from secateur.study.plan import plan

STUDY = StudySpec.model_validate(
    {"methods": {"magnitude": {}}, "training": {"base_epochs": 2, "batch_size": 32}}
)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return shapes(train=64, val=10, test=10, size=8)


@pytest.fixture
def make_job(tmp_path: Path, data: ImageData) -> Callable[..., Job]:
    (tmp_path / "points").mkdir()

    def make(act: Callable[[], object] = lambda: None) -> Job:
        # A local function travels to the worker by value: nothing of this module is importable.
        def model(shape: Any, classes: int) -> nn.Module:
            act()
            return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, classes))

        run = plan(STUDY, {"data": os.urandom(8).hex()})[0]
        return Job(run, Setup(STUDY, tmp_path, model, data))

    return make


def until_idle(executor: LocalExecutor) -> list[Event]:
    events: list[Event] = []
    deadline = time.monotonic() + 240  # a busy machine takes a minute to start the workers' server
    while executor.busy:
        assert time.monotonic() < deadline
        events.extend(executor.events())
    return events


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    with LocalExecutor(2) as made:
        yield made


def test_a_job_reports_each_epoch_and_its_result(
    executor: LocalExecutor, make_job: Callable[..., Job]
) -> None:
    job = make_job()
    executor.start(job)
    assert (executor.free, executor.busy) == (1, True)
    events = until_idle(executor)
    assert [event.kind for event in events] == ["epoch", "epoch", "done"]
    assert [event.values["epoch"] for event in events[:2]] == [1, 2]
    assert {event.digest for event in events} == {job.run.digest}
    assert events[-1].values["point"]["digest"] == job.run.digest
    assert (executor.free, executor.busy) == (2, False)
    assert (job.setup.folder / events[-1].values["point"]["checkpoint"]).is_file()


def test_a_job_that_is_told_to_end_takes_no_other_with_it(
    executor: LocalExecutor, make_job: Callable[..., Job]
) -> None:
    slow, other = make_job(lambda: time.sleep(60)), make_job()
    for job in (slow, other):
        executor.start(job)
    executor.stop(slow.run.digest)
    executor.stop("no such run")
    ends = {event.digest: event.kind for event in until_idle(executor)}
    assert ends == {slow.run.digest: "failed", other.run.digest: "done"}


def raise_error() -> None:
    raise ValueError("no such layer\nand more")


def exit_hard() -> None:
    os._exit(3)


def exit_softly() -> None:
    raise SystemExit(4)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash() -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)


def eat_memory() -> None:
    torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (raise_error, "no such layer"),
        (exit_hard, "ended with code 3 before the run was done"),
        (exit_softly, "ended with code 4 before the run was done"),
        (kill, "was killed (SIGKILL), most often because memory ran out"),
        (crash, "died of SIGSEGV"),
        (eat_memory, "memory"),
    ],
)
def test_whatever_ends_a_worker_is_a_reason_and_the_others_go_on(
    executor: LocalExecutor,
    make_job: Callable[..., Job],
    act: Callable[[], None],
    reason: str,
) -> None:
    # Rebuilt without its module's name, so that it is sent by value.
    function = type(act)(act.__code__, {"os": os, "signal": signal, "torch": torch})
    bad, good = make_job(function), make_job()
    executor.start(bad)
    executor.start(good)
    ends = {event.digest: event for event in until_idle(executor) if event.kind != "epoch"}
    assert ends[bad.run.digest].kind == "failed"
    assert reason in ends[bad.run.digest].reason
    assert "\n" not in ends[bad.run.digest].reason
    assert ends[good.run.digest].kind == "done"


def test_a_failure_keeps_its_traceback(
    executor: LocalExecutor, make_job: Callable[..., Job]
) -> None:
    executor.start(make_job(lambda: 1 / 0))
    (event,) = until_idle(executor)
    assert "ZeroDivisionError: division by zero" in event.reason
    assert "Traceback (most recent call last)" in event.values["traceback"]


def test_a_message_cut_short_is_a_death(
    executor: LocalExecutor, make_job: Callable[..., Job]
) -> None:
    """A worker killed while it writes: the pipe holds a line without its end."""
    job = make_job(kill_within_a_message())
    executor.start(job)
    (event,) = until_idle(executor)
    assert event.kind == "failed"
    assert "SIGKILL" in event.reason


def kill_within_a_message() -> Callable[[], None]:
    def act() -> None:
        import gc
        import os
        import signal
        from multiprocessing.connection import Connection

        (pipe,) = (each for each in gc.get_objects() if type(each) is Connection)
        os.write(pipe.fileno(), b'["epoch", {"only this')
        os.kill(os.getpid(), signal.SIGKILL)

    return act


def test_a_thread_that_user_code_left_does_not_hold_up_the_study(
    executor: LocalExecutor, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.2)

    def act() -> None:
        import threading
        import time

        threading.Thread(target=time.sleep, args=(300,)).start()

    executor.start(make_job(act))
    assert until_idle(executor)[-1].kind == "done"


def sleep_and_tell(file: Path) -> Callable[[], None]:
    def act() -> None:
        import os
        import time

        file.write_text(str(os.getpid()))
        time.sleep(300)

    return act


def pid_of(file: Path) -> int:
    while not (file.exists() and file.read_text()):
        time.sleep(0.02)
    return int(file.read_text())


def is_gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True


def test_leaving_ends_every_worker(make_job: Callable[..., Job], tmp_path: Path) -> None:
    with LocalExecutor(1) as executor:
        executor.start(make_job(sleep_and_tell(tmp_path / "pid")))
        pid = pid_of(tmp_path / "pid")
        assert not is_gone(pid)
    assert is_gone(pid)
    assert not executor.busy


def test_a_worker_ends_when_nobody_reads_its_pipe_any_more(
    make_job: Callable[..., Job], tmp_path: Path
) -> None:
    """As when the sweep alone is killed: no worker trains on for nobody."""
    with LocalExecutor(1) as executor:
        executor.start(make_job(sleep_and_tell(tmp_path / "pid")))
        pid = pid_of(tmp_path / "pid")
        (one,) = executor._processes._running
        one.pipe.close()
        one.process.join(30)
        assert is_gone(pid)
        executor._processes._running.clear()


def test_workers_do_not_hear_ctrl_c(
    executor: LocalExecutor, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    def act() -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGINT)

    executor.start(make_job(act))
    assert until_idle(executor)[-1].kind == "done"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_run_that_takes_too_long_is_given_up(
    executor: LocalExecutor, make_job: Callable[..., Job]
) -> None:
    executor.start(replace(make_job(lambda: __import__("time").sleep(300)), timeout=0.3))
    (event,) = until_idle(executor)
    assert event.kind == "failed"
    assert event.reason.startswith("given up after 0.3 seconds (--timeout)")


def test_a_run_that_cannot_be_started_fails_by_name(
    executor: LocalExecutor, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(24, "Too many open files")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(processes, "_start_server", full)
    executor.start(make_job())
    assert (executor.busy, executor.free) == (True, 1)
    (event,) = until_idle(executor)
    assert "no process could be started for the run (OSError: [Errno 24] Too many" in event.reason
    assert len(os.listdir("/proc/self/fd")) == before


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_ctrl_z_stops_the_workers_too_and_their_time(
    executor: LocalExecutor,
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor.start(replace(make_job(sleep_and_tell(tmp_path / "pid")), timeout=600))
    pid, states = pid_of(tmp_path / "pid"), []
    (one,) = executor._processes._running
    deadline = one.deadline

    def suspended(number: int, sent: int) -> None:
        assert (number, sent) == (os.getpid(), signal.SIGSTOP)
        until = time.monotonic() + 30
        while state_of(pid) != "T" and time.monotonic() < until:
            time.sleep(0.01)
        states.append(state_of(pid))

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", suspended)
        signal.raise_signal(signal.SIGTSTP)
    assert states == ["T"]
    until = time.monotonic() + 30
    while state_of(pid) == "T" and time.monotonic() < until:
        time.sleep(0.01)
    assert state_of(pid) != "T"
    assert one.deadline > deadline


def test_an_executor_may_be_made_in_any_thread() -> None:
    made: list[LocalExecutor] = []
    thread = threading.Thread(target=lambda: made.append(LocalExecutor(1)))
    thread.start()
    thread.join()
    assert made[0].free == 1
    assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL


@pytest.mark.parametrize(
    # cores, --workers, GPUs -> workers, threads each
    ("cores", "workers", "devices", "chosen"),
    [
        (1, None, 0, (1, 1)),
        (2, None, 0, (2, 1)),
        (2, 1, 0, (1, 1)),  # results must not depend on the number of workers
        (2, 2, 0, (2, 1)),
        (2, 5, 0, (5, 1)),
        (8, None, 0, (8, 1)),
        (8, 1, 0, (1, 1)),
        (32, None, 0, (8, 4)),
        (32, 2, 0, (2, 4)),
        (32, 16, 0, (16, 2)),
        (16, None, 1, (1, 16)),
        (16, None, 4, (4, 4)),
        (16, 2, 1, (2, 8)),
        (2, None, 4, (4, 1)),
    ],
)
def test_workers_and_threads_for_a_machine(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    workers: int | None,
    devices: int,
    chosen: tuple[int, int],
) -> None:
    monkeypatch.setattr(sharing, "cores", lambda: cores)
    assert share_out(workers, devices) == chosen


@pytest.mark.parametrize(
    # cores, --workers, GPUs, --threads -> workers, threads each
    ("cores", "workers", "devices", "threads", "chosen"),
    [
        (2, None, 0, 1, (2, 1)),
        (2, None, 0, 2, (1, 2)),
        (2, None, 0, 5, (1, 5)),
        (32, None, 0, 2, (8, 2)),
        (32, None, 0, 8, (4, 8)),
        (8, 3, 0, 4, (3, 4)),
        (16, None, 2, 3, (2, 3)),
    ],
)
def test_workers_beside_threads_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    workers: int | None,
    devices: int,
    threads: int,
    chosen: tuple[int, int],
) -> None:
    monkeypatch.setattr(sharing, "cores", lambda: cores)
    assert share_out(workers, devices, threads) == chosen


@pytest.mark.parametrize(
    ("workers", "threads"),
    [(0, None), (-1, None), (1, 0), (None, -2), (None, 1000), (10**9, None), (1, 10**20)],
)
def test_none_at_all_and_thousands_are_refused(
    monkeypatch: pytest.MonkeyPatch, workers: int | None, threads: int | None
) -> None:
    monkeypatch.setattr(sharing, "cores", lambda: 2)
    with pytest.raises(UsageError, match="expected from 1 to 256"):
        share_out(workers, 0, threads)


def test_threads_of_workers_sleep_while_they_wait() -> None:
    code = """
import os
from multiprocessing import forkserver

from secateur.study.executors.local import LocalExecutor

if __name__ == "__main__":
    seen = []
    forkserver.ensure_running = lambda: seen.append(os.environ.get("OMP_WAIT_POLICY"))
    LocalExecutor(1)
    print(*seen, os.environ.get("OMP_WAIT_POLICY"))
"""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    for chosen, told in (({}, "PASSIVE None"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE ACTIVE")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, **chosen},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == told.split()


class Counted:
    """Data that count how often they are pickled."""

    times = 0

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        Counted.times += 1
        return (object, ())


def test_what_jobs_share_is_sent_once(
    executor: LocalExecutor, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data in memory travel with the first job alone."""
    first = make_job()
    setup = replace(first.setup, registered={"a test": {"counted": Counted()}})
    runs = plan(STUDY, {"data": "shared"})
    monkeypatch.setattr(Counted, "times", 0)
    for run in runs[:2]:
        executor.start(Job(run, setup))
    assert Counted.times == 1
    assert {event.kind for event in until_idle(executor)} <= {"epoch", "done", "failed"}
    executor.start(Job(runs[2], setup))
    assert Counted.times == 1
    until_idle(executor)
