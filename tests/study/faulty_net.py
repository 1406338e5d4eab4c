"""A network that acts up in a worker in every way that a run can; studies have a copy of its text.

What it does is read from `acts.json`, by the seed of the run that trains; without it nothing.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Mute(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no words")


def _tell(name: str, number: int) -> None:
    Path(f"{name}.part").write_text(str(number))
    Path(f"{name}.part").rename(name)


def _start_child() -> None:
    """A child that holds whatever this process has open."""
    child = os.fork()
    if not child:
        time.sleep(600)
    _tell(f"child-{os.getpid()}", child)


def _hang() -> None:
    _start_child()
    _tell(f"hangs-{os.getpid()}", os.getpid())
    time.sleep(600)


def _hold() -> None:
    _tell(f"hangs-{os.getpid()}", os.getpid())
    ctypes.PyDLL(None).pause()  # without letting go of the interpreter


def _die_before_its_child() -> None:
    _start_child()
    os.kill(os.getpid(), signal.SIGKILL)


def _limit(kind: int, more: int) -> None:
    resource.setrlimit(kind, (more, resource.getrlimit(kind)[1]))


def _eat() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + (64 << 20))
    bytearray(1 << 30)


def _eat_in_torch() -> None:
    torch.empty(1 << 60, dtype=torch.uint8)


def _fill() -> None:
    _limit(resource.RLIMIT_FSIZE, 1000)


def _raise(error: BaseException) -> None:
    raise error


ACTS: dict[str, Any] = {
    "raise": lambda: _raise(ValueError("a bug of the user's own\nand more")),
    "exit 0": lambda: sys.exit(0),
    "exit hard": lambda: os._exit(0),
    "interrupt": lambda: _raise(KeyboardInterrupt()),
    "mute": lambda: _raise(Mute()),
    "long": lambda: _raise(ValueError("x" * (50 << 20))),
    "unprintable": lambda: _raise(ValueError("a half \ud800 and \x1b[31m")),
    "broken pipe": lambda: _raise(BrokenPipeError(32, "of the user's own")),
    "close files": lambda: os.closerange(3, 4096),
    "no memory": _eat,
    "no memory in torch": _eat_in_torch,
    "no room": _fill,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "die before its child": _die_before_its_child,
    "hang": _hang,
    "hold": _hold,
}


class Net(nn.Sequential):
    """Does its act in the first training batch."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and Path("acts.json").exists():
            act = json.loads(Path("acts.json").read_text()).get(str(torch.initial_seed()))
            if act == "nan":
                return super().forward(x) * float("nan")
            if act:
                ACTS[act]()
        return super().forward(x)


def net(shape: Any, classes: int) -> nn.Module:
    return Net(nn.Flatten(), nn.Linear(192, 6), nn.Linear(6, classes))
