"""Progress of a sweep: what has ended, what is under way, and how much time is left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secateur.study.plan import Run


@dataclass
class Underway:
    """A run that is being done.

    Attributes:
        run: Which.
        since: When it began, in seconds since 1970.
        epoch: Epochs that it has trained.
        values: What its last epoch gave: `loss`, `val_accuracy` or another score; empty before
            the first.
    """

    run: Run
    since: float
    epoch: int = 0
    values: dict[str, float] = field(default_factory=dict)


class SweepProgress:
    """An observer that counts.

    Attributes:
        runs: The plan.
        reasons: Digest -> reason of failure (empty: done) of the runs that have ended, those that
            an earlier sweep finished included.
        underway: Digest -> how far a run is, of those that have begun and not ended.
        trained: Epochs that this sweep has trained.
        left: Epochs that this sweep had or has to train, without those that failures made vain.
        nets: How many different nets are being timed; 0 before that.
    """

    def __init__(self) -> None:
        self.runs: tuple[Run, ...] = ()
        self.reasons: dict[str, str] = {}
        self.underway: dict[str, Underway] = {}
        self.trained = 0
        self.left = 0
        self.nets = 0
        self._first = 0.0

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        """Begin the count."""
        self.runs = runs
        self.reasons = {run.digest: "" for run in runs if run.digest in finished}
        self.left = sum(run.epochs for run in runs if run.digest not in finished)
        self.trained = 0

    def started(self, run: Run) -> None:
        """Count a run as under way."""
        self.underway[run.digest] = Underway(run, time.time())

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """Count an epoch."""
        self.trained += 1
        if self.trained == 1:
            self._first = time.monotonic()
        entry = self.underway[run.digest]
        entry.epoch = int(values["epoch"])
        entry.values = {
            name: value
            for name, value in values.items()
            if name == "loss" or name.startswith("val_")
        }

    def ended(self, run: Run, reason: str) -> None:
        """Count a run as done, or as failed."""
        entry = self.underway.pop(run.digest, None)
        # Whatever a failed run did not train is not left to be trained.
        self.left -= run.epochs - (entry.epoch if entry else 0)
        self.reasons[run.digest] = reason

    def timing(self, nets: int) -> None:
        """Note that the last part begins."""
        self.nets = nets

    def seconds_left(self) -> float | None:
        """How long training will take at the pace so far; None where nothing tells.

        The pace is that since the first epoch: what was before it, workers that start and import
        torch, is a minute on a busy machine, and would be counted again for every epoch.
        """
        if self.trained < 2 or self.trained >= self.left:
            return None
        pace = (time.monotonic() - self._first) / (self.trained - 1)
        return pace * (self.left - self.trained)
