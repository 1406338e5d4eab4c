"""Workers: how many, with how many threads each, and on which devices."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from secateur.errors import UsageError
from secateur.foundation.threads import cores, most_threads
from secateur.study.executors.protocol import Executor
from secateur.training.device import resolve_device
from secateur.training.rank_group import device_of

MakeExecutor = Callable[[int], Executor]

_MOST = 4096


@dataclass(frozen=True)
class Places:
    """Where the jobs of a sweep are performed.

    Attributes:
        devices: Names, as a job resolves them where it is performed; jobs are spread over them.
        workers: How many jobs at a time.
        threads: Of each run.
        shared: The cores that base nets share, while there is nothing else to do.
    """

    devices: tuple[str, ...]
    workers: int
    threads: int
    shared: int


def places_of(
    make: MakeExecutor,
    device: str,
    workers: int | None,
    threads: int | None = None,
    each: int = 1,
) -> Places:
    """The places that an executor's jobs have: its own, or those of this machine.

    A job that trains on several devices has as many GPUs, or its processes share its cores.

    Args:
        make: What makes the executor. A method `places(device, workers, threads)` of it is asked.
        device: As the user asked; `cuda` without a number, or `auto`, uses every GPU.
        workers: As the user asked; None to choose.
        threads: As the user asked, for each process of a run; None to choose.
        each: Devices that a run trains on.

    Raises:
        UsageError: What was asked for cannot be.
    """
    own: Callable[[str, int | None, int | None], Places] | None = getattr(make, "places", None)
    if own is not None:
        found = own(device, workers, threads)
        if each == 1:
            return found
        fewer = max(1, found.threads // each) if threads is None else threads
        return replace(found, threads=fewer, shared=max(1, found.shared // each))
    devices = _groups(_devices(device), each)
    gpus = len([name for name in devices if name != "cpu"])
    count, chosen = share_out(workers, gpus, threads, max(1, cores() // each))
    return Places(devices, count, chosen, max(1, cores() // each))


def _devices(name: str) -> tuple[str, ...]:
    device = resolve_device(name)
    if device.type == "cuda" and name in ("auto", "cuda"):
        return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    return (str(device),)


def _groups(names: tuple[str, ...], each: int) -> tuple[str, ...]:
    """The first device of each group of so many that lie one after the other.

    Raises:
        DeviceError: There are not so many.
    """
    if each == 1:
        return names
    found = names[: max(1, len(names) // each) * each : each]
    for name in found:
        device_of(name, 0, each)
    return found


def share_out(
    workers: int | None, devices: int, threads: int | None = None, many: int | None = None
) -> tuple[int, int]:
    """Workers and threads for this machine.

    On CPUs small nets train faster side by side than on several threads each (see
    benchmarks/training.md), so up to eight cores every core gets a worker; a larger machine gets
    eight workers with the cores shared among them. With GPUs there is one worker for each.

    Args:
        workers: As the user asked; None to choose.
        devices: How many GPUs take part; 0 for none.
        threads: As the user asked, for each worker; None to choose.
        many: Cores to share out; all that there are, if None.

    Returns:
        Workers, and threads for each.

    Raises:
        UsageError: The user asked for none, or for far more than this machine has cores.
    """
    check_counts(workers, threads, most_threads())
    many = many or cores()
    if threads:
        return workers or devices or max(1, min(many // threads, 8)), threads
    chosen = workers or devices or min(many, 8)
    return chosen, max(1, many // max(chosen, devices or min(many, 8)))


def check_timeout(seconds: float | None) -> None:
    """Refuse a timeout that is none.

    Raises:
        UsageError: It is not positive, or not finite.
    """
    if seconds is not None and not 0 < seconds < math.inf:
        raise UsageError(
            "running a study",
            "the timeout of a run",
            given=f"{seconds:g}",
            expected="seconds, more than 0",
            remedy="Leave it out to wait for every run as long as its worker lives.",
        )


def check_counts(workers: int | None, threads: int | None, most: int = _MOST) -> None:
    """Refuse none at all, and far more than there can be.

    Args:
        workers: As the user asked; None to choose.
        threads: Likewise.
        most: Of either.

    Raises:
        UsageError: The user asked for none, for less, or for more.
    """
    for name, number in (("workers", workers), ("threads", threads)):
        if number is not None and not 1 <= number <= most:
            raise UsageError(
                "running a study",
                name,
                given=str(number),
                expected=f"from 1 to {most:,}",
                remedy="Leave it out to have it chosen for this machine.",
            )


def check_no_torchrun() -> None:
    """Refuse to be one of several sweeps that a launcher of processes has started.

    Raises:
        UsageError: It has.
    """
    many = os.environ.get("WORLD_SIZE", "1")
    if many != "1" and "RANK" in os.environ:
        raise UsageError(
            "running a study",
            "the sweep",
            given=f"started {many} times over (by torchrun, or a launcher like it)",
            expected="one process, which starts those that it needs",
            remedy="Give the command itself, with --devices for each net's training; several "
            "machines share a study with --ray.",
        )
