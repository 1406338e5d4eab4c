"""Steady: a plan on several threads that goes back to one while that is the faster one.

Threads that wait for each other are held up by whatever else runs on the machine, for as long as
the scheduler pleases. One thread waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from torch import Tensor

Run = Callable[..., Any]

_PATIENCE = 3
"""So many passes in a row have to be late."""

_PAUSES = (32, 1024)
"""For so many passes one thread runs alone before the others are tried again: at first, at most."""


class Steady:
    """Runs a plan on several threads, and the same on one while the first is late.

    Args:
        shared: On several threads.
        alone: On one.
        limit: Seconds that `alone` takes for so many numbers in the first tensor.
        count: So many.
        clock: What tells the time.

    Example:
        >>> run = Steady(lambda x: x + 1, lambda x: x + 1, limit=1.0, count=1)
        >>> int(run(Tensor([1.0])))
        2
    """

    def __init__(
        self,
        shared: Run,
        alone: Run,
        *,
        limit: float,
        count: int,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.shared = shared
        self.alone = alone
        self._limit = limit
        self._count = count
        self._clock = clock
        self._late = 0
        self._left = 0
        self._pause = _PAUSES[0]

    def __call__(self, *tensors: Tensor) -> Any:
        """From the network's tensors to its output."""
        if self._left > 0:
            self._left -= 1
            return self.alone(*tensors)
        begun = self._clock()
        output = self.shared(*tensors)
        self._judge(self._clock() - begun, tensors[0])
        return output

    def release(self) -> None:
        """Give back the memory that is kept for the next call."""
        for run in (self.shared, self.alone):
            if hasattr(run, "release"):
                run.release()

    def _judge(self, took: float, first: Tensor) -> None:
        if took <= self._limit * max(1.0, first.numel() / self._count):
            self._late, self._pause = 0, _PAUSES[0]
            return
        self._late += 1
        if self._late >= _PATIENCE:
            self._late, self._left = 0, self._pause
            self._pause = min(2 * self._pause, _PAUSES[1])
