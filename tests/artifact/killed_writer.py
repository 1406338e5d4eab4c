"""Kill a writer of model files again and again: run as a script of its own, with a file's path.

A process that has used torch's threads must not fork and go on using them, so the forking is done
here and not in the process that runs the tests.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn

from secateur.artifact.load import load_state_dict
from secateur.artifact.save import save

KILLS = 40


def write(path: Path, value: int) -> None:
    net = nn.Linear(300, 300)
    nn.init.constant_(net.weight, value)
    nn.init.constant_(net.bias, value)
    save(net, path)


def kill_one(path: Path, writes: int, chance: random.Random) -> None:
    """Kill a writer at a random moment after so many of its writes."""
    reader, told = os.pipe()
    writer = os.fork()
    if writer == 0:
        for value in range(1, 1_000_000):
            write(path, value)
            os.write(told, b".")
    for _ in range(writes):
        os.read(reader, 1)
    time.sleep(chance.uniform(0, 0.01))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    os.close(reader)
    os.close(told)


def main(path: Path) -> None:
    torch.set_num_threads(1)
    write(path, 0)
    chance = random.Random(0)
    for number in range(KILLS):
        kill_one(path, number % 5, chance)
        state = load_state_dict(path)
        values = torch.cat([state["weight"].ravel(), state["bias"]]).unique()
        sys.stdout.write(" ".join(f"{value:g}" for value in values) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
