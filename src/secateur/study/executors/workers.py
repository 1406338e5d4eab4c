"""Workers: how many, with how many threads each, and on which devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from secateur.errors import UsageError
from secateur.foundation.threads import cores
from secateur.study.executors.protocol import Executor
from secateur.training.device import resolve_device

MakeExecutor = Callable[[int], Executor]

_MOST = 4096
_SPARE, _TIMES = 256, 8
"""Threads may be more than the cores here, for the bits of a larger machine; a thousand of them on
two cores take minutes to start, or end the process."""


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
    make: MakeExecutor, device: str, workers: int | None, threads: int | None = None
) -> Places:
    """The places that an executor's jobs have: its own, or those of this machine.

    Args:
        make: What makes the executor. A method `places(device, workers, threads)` of it is asked.
        device: As the user asked; `cuda` without a number, or `auto`, uses every GPU.
        workers: As the user asked; None to choose.
        threads: As the user asked, for each run; None to choose.

    Raises:
        UsageError: What was asked for cannot be.
    """
    own: Callable[[str, int | None, int | None], Places] | None = getattr(make, "places", None)
    if own is not None:
        return own(device, workers, threads)
    devices = _devices(device)
    count, each = share_out(workers, len([name for name in devices if name != "cpu"]), threads)
    return Places(devices, count, each, cores())


def _devices(name: str) -> tuple[str, ...]:
    device = resolve_device(name)
    if device.type == "cuda" and name in ("auto", "cuda"):
        return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    return (str(device),)


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
        UsageError: The user asked for none, or for far more than this machine has cores.
    """
    check_counts(workers, threads, max(_SPARE, _TIMES * cores()))
    if threads:
        return workers or devices or max(1, min(cores() // threads, 8)), threads
    chosen = workers or devices or min(cores(), 8)
    return chosen, max(1, cores() // max(chosen, devices or min(cores(), 8)))


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
