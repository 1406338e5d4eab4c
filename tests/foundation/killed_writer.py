"""Kill a writer of model files again and again: run as a script of its own, with a file's path.

Prints a line for each kill: how it was chosen, the least value that the file may hold now, and
the values that it does hold, of which a whole file has one.

A process that has used torch's threads must not fork and go on using them, so the forking is done
here and not in the process that runs the tests.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from secateur.artifact import container
from secateur.artifact.load import load_state_dict
from secateur.artifact.save import save
from secateur.foundation import atomic_write

KILLS = 10
_WATCHED = (atomic_write.__file__, container.__file__)


def write(path: Path, value: int) -> None:
    net = nn.Linear(300, 300)
    nn.init.constant_(net.weight, value)
    nn.init.constant_(net.bias, value)
    save(net, path)


def forked(work: Callable[[], None]) -> int:
    """The number of a process that does some work and ends, whatever comes of it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def die_before_line(number: int) -> None:
    """Let this process kill itself before so many lines of the code that writes have run."""
    lines = itertools.count(1)

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and next(lines) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(lambda frame, *_: trace if frame.f_code.co_filename in _WATCHED else None)


def kill_at_each_line(path: Path) -> None:
    """Kill a writer before each line that it runs, until one has come to its end."""
    for line in itertools.count(1):
        write(path, 0)

        def work(line: int = line) -> None:
            die_before_line(line)
            write(path, 1)

        _, status = os.waitpid(forked(work), 0)
        if not os.WIFSIGNALED(status):
            report(path, "whole", 1)
            return
        report(path, "line", 0)


def kill_at_random(path: Path, first: int, written: int, delay: float) -> None:
    """Kill a writer of one value after another, some time after it has told of so many.

    If it has told of none, the file may be an older one.
    """
    reader, told = os.pipe()

    def work() -> None:
        for value in itertools.count(first):
            write(path, value)
            os.write(told, b".")

    writer = forked(work)
    os.close(told)
    for _ in range(written):
        assert os.read(reader, 1), "the writer failed"
    time.sleep(delay)
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    os.close(reader)
    report(path, "random", first + written - 1 if written else 0)


def report(path: Path, kind: str, least: int) -> None:
    state = load_state_dict(path)
    values = torch.cat([state["weight"].ravel(), state["bias"]]).unique()
    words = (kind, str(least), *(f"{value:.0f}" for value in values))
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def main(path: Path) -> None:
    torch.set_num_threads(1)
    kill_at_each_line(path)
    chance = random.Random(0)
    for number in range(KILLS):
        kill_at_random(path, 1 + 100_000 * number, number % 5, chance.uniform(0, 0.01))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
