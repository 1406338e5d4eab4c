"""The audit of a search: the epochs that were trained for each trial, and the seconds they took."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from secateur.study.observer import Silent
from secateur.study.plan import Run
from secateur.tuning.trials import BegunTrial

_EVERY = 1.0


class TuningAudit(Silent):
    """An observer of the runs of several trials.

    A run that two trials share is counted to the first. What is counted is kept once a second, and
    whenever a run ends: of a search that is killed no more than the last second is not counted.

    Args:
        trials: Those under way, each with the runs of its study.
    """

    def __init__(self, trials: Sequence[tuple[BegunTrial, Sequence[Run]]]) -> None:
        self._trials = {begun.number: begun for begun, _ in trials}
        self._of = {run.digest: one.number for one, runs in reversed(trials) for run in runs}
        self._runs = {run.digest: run for _, runs in trials for run in runs}
        self._epochs: Counter[int] = Counter()
        self._told: Counter[str] = Counter()
        self._seconds: dict[int, float] = defaultdict(float)
        self._since: dict[str, float] = {}
        self._noted: dict[int, float] = {}

    def started(self, run: Run) -> None:
        """Time passes for it."""
        self._since[run.digest] = time.monotonic()

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:  # noqa: ARG002
        """One more."""
        number = self._of[run.digest]
        self._epochs[number] += 1
        self._told[run.digest] += 1
        if time.monotonic() - self._noted.get(number, -math.inf) >= _EVERY:
            self._note(number)

    def ended(self, run: Run, reason: str) -> None:
        """Count what nobody told of: passes for statistics, a teacher, a loop that is silent."""
        number = self._of[run.digest]
        if not reason:
            silent = max(0, run.epochs - self._told[run.digest])
            self._epochs[number] += silent + passes_of(run, self._runs)
        self._seconds[number] += self._passed(run.digest)
        self._since.pop(run.digest, None)
        self._note(number)

    def _passed(self, digest: str) -> float:
        now = time.monotonic()
        return now - self._since.get(digest, now)

    def _note(self, number: int) -> None:
        running = (digest for digest in self._since if self._of[digest] == number)
        seconds = self._seconds[number] + sum(map(self._passed, running))
        self._trials[number].note(self._epochs[number], seconds)
        self._noted[number] = time.monotonic()


def passes_of(run: Run, runs: Mapping[str, Run]) -> int:
    """What a run consumes beside the epochs that it trains, of all that its point has consumed."""
    parents = [runs[parent] for parent in run.parents.values() if parent in runs]
    before = max((_untold(parent) for parent in parents), default=0)
    return max(0, _untold(run) - before)


def _untold(run: Run) -> int:
    return run.spent.get("statistics", 0) + run.spent.get("teacher", 0)
