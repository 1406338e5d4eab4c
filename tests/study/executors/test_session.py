import os
import subprocess
import sys
import time

import pytest

from secateur.study.executors import session


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + 30
    while session.lives(pid):
        assert time.monotonic() < until
        time.sleep(0.01)


# A child in the same session, and one that leads a session of its own.
LEADER = """
import subprocess, time
plain = subprocess.Popen(["sleep", "600"])
apart = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(plain.pid, apart.pid, flush=True)
time.sleep(600)
"""


def start() -> tuple[subprocess.Popen[str], list[int]]:
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert leader.stdout is not None
    with leader.stdout:
        return leader, [int(word) for word in leader.stdout.readline().split()]


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="the system does not tell")
def test_a_leader_ends_with_all_that_it_has_started() -> None:
    leader, children = start()
    session.end(leader.pid, alive=True)
    assert leader.wait(30) < 0
    for pid in children:
        wait_until_gone(pid)


def test_what_a_dead_leader_has_left_ends() -> None:
    leader, (plain, apart) = start()
    leader.kill()
    leader.wait()
    assert session.lives(plain)
    session.end(leader.pid, alive=False)
    wait_until_gone(plain)
    os.kill(apart, 9)  # what leads its own session has no tie to it any more


def test_one_that_is_gone_is_no_error() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    session.end(gone.pid, alive=False)
    session.end_group(gone.pid)
    session.wait_for(gone.pid, 0.0)
    assert not session.lives(gone.pid)


# Forked, for who leads a session of its own cannot be this process; nothing of Python runs in it.
LINKED = """
import ctypes, multiprocessing, os, sys, time
from secateur.study.executors import session
def work(told):
    session.lead()
    told.send(os.getpid())
    ctypes.PyDLL(None).pause()
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    context.Process(target=work, args=(theirs,), daemon=True).start()
    print(ours.recv(), flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_worker_that_holds_the_interpreter_ends_with_the_sweep(
    tmp_path: os.PathLike[str],
) -> None:
    script = os.path.join(tmp_path, "linked.py")
    with open(script, "w") as file:
        file.write(LINKED)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    wait_until_gone(int(done.stdout))
