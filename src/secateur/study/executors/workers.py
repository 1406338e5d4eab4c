"""Workers: how many, and with how many threads each, on this machine."""

from __future__ import annotations

from secateur.errors import UsageError
from secateur.foundation.threads import cores


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
        UsageError: The user asked for none, or for less.
    """
    for name, number in (("workers", workers), ("threads", threads)):
        if number is not None and number < 1:
            raise UsageError(
                "running a study",
                name,
                given=str(number),
                expected="1 or more",
                remedy="Leave it out to have it chosen for this machine.",
            )
    if threads:
        return workers or devices or max(1, min(cores() // threads, 8)), threads
    chosen = workers or devices or min(cores(), 8)
    return chosen, max(1, cores() // max(chosen, devices or min(cores(), 8)))
