"""Threads: how many cores this process may use, and what threads do while they wait.

Nothing here imports torch: OpenMP reads how to wait once, when torch loads it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def cores() -> int:
    """The CPU cores that this process may use.

    `taskset` and a container may leave it fewer than the machine has; a container's limit on CPU
    time counts as so many cores, rounded up.

    Example:
        >>> cores() >= 1
        True
    """
    here = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    return max(1, min([len(here) if here else os.cpu_count() or 1, *_quotas()]))


def most_threads() -> int:
    """So many threads may be asked for: more than the cores here, for the bits of a larger machine.

    A thousand of them on two cores take minutes to start, or have OpenMP end the process.

    Example:
        >>> most_threads() >= 256
        True
    """
    return max(256, 8 * cores())


def let_threads_sleep(environment: MutableMapping[str, str]) -> None:
    """Have OpenMP's threads sleep while they wait for one another, unless the user has chosen.

    By default they turn for milliseconds at every barrier. On cores that others use as well, the
    thread that is waited for is then not running, and whoever waits burns the time that it needs:
    an epoch of two threads takes 17 times as long beside other work, and with this 3 times.

    Args:
        environment: Of a process that has not loaded torch yet.

    Example:
        >>> environment = {}
        >>> let_threads_sleep(environment)
        >>> environment
        {'OMP_WAIT_POLICY': 'PASSIVE'}
    """
    if not any(environment.get(name) for name in _WAITING):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


@contextmanager
def sleeping_threads() -> Iterator[None]:
    """For processes that are started meanwhile: their threads sleep while they wait."""
    before = os.environ.get("OMP_WAIT_POLICY")
    let_threads_sleep(os.environ)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("OMP_WAIT_POLICY", None)


def _quotas() -> Iterator[int]:
    """Cores' worth of CPU time that each control group around this process allows."""
    try:
        lines = _OWN_GROUPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            yield from _limits(_CGROUPS, group, "cpu.max")
        elif "cpu" in controllers.split(","):
            yield from _limits(_CGROUPS / "cpu", group, "cpu.cfs_quota_us", "cpu.cfs_period_us")


def _limits(root: Path, group: str, *files: str) -> Iterator[int]:
    """Of a group and of those that it lies in; inside a container its own one may be the root."""
    parts = [part for part in group.split("/") if part not in ("", "..")]
    for depth in range(len(parts) + 1):
        folder = root.joinpath(*parts[:depth])
        try:
            words = " ".join((folder / name).read_text(encoding="ascii") for name in files).split()
            quota, period = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):  # not there, or `max`: no limit
            continue
        if quota > 0 and period > 0:
            yield -(-quota // period)
