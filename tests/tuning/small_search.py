"""A search of a small study that is made in this process: quick enough to be made often."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from secateur.registry import EXECUTORS
from secateur.spec import StudySpec, check_study
from secateur.study.executors.protocol import Event
from secateur.study.job import Job
from secateur.study.run import perform
from secateur.training.epoch import Epoch
from secateur.tuning.record import TrialRecord, TuningRecord
from secateur.tuning.tune import tune_study

from ..study.inline import Inline, data, net

SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "optimizer": ["adam", "sgd"],
}
SETTINGS: dict[str, Any] = {
    "name": "small",
    "training": {"base_epochs": 1, "retrain_epochs": 1},
    "methods": {"magnitude": {"levels": [0.3, 0.6]}, "dense": {}},
    "executor": "inline",
}


def small_study(tune: dict[str, Any] | None = None, **changes: Any) -> StudySpec:
    """The study, with a `[tune]`."""
    asked = {"space": SPACE, "trials": 4, **(tune or {})}
    return check_study({**SETTINGS, **changes, "tune": asked}, "a test")


def search(
    folder: Path,
    tune: dict[str, Any] | None = None,
    executor: Any = None,
    seconds: float | None = None,
    workers: int = 1,
    **changes: Any,
) -> TuningRecord:
    """Search it in a folder; the executor `inline` has to be registered."""
    return tune_study(
        small_study(tune, **changes),
        folder,
        model=net,
        data=data(),
        threads=1,
        workers=workers,
        seconds=seconds,
        executor=executor,
    )


def found(trials: tuple[TrialRecord, ...]) -> list[tuple[Any, ...]]:
    """What does not depend on when and how often a trial was begun."""
    return [(one.number, one.state, one.settings, one.value) for one in trials]


class Killing(Inline):
    """Kills its process when so many runs have been done."""

    left = 2

    def start(self, job: Job) -> None:
        """Perform a job, or die of it."""
        if Killing.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        Killing.left -= 1
        super().start(job)


class Telling(Inline):
    """Tells of every epoch as it goes, and ends a run when it is told to.

    What it tells as the score is the learning rate: the higher, the better.
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._epochs: list[Event] = []
        self._ended: set[str] = set()

    def start(self, job: Job) -> None:
        """Perform a job; its epochs are told of later."""
        digest = job.run.digest

        def tell(epoch: Epoch) -> None:
            told = {"epoch": epoch.epoch, "val_accuracy": job.study.training.learning_rate}
            self._epochs.append(Event(digest, "epoch", told))

        self._told.append(Event(digest, "done", perform(job, tell)))

    def stop(self, digest: str) -> None:
        """Let a run have failed from now on."""
        self._ended.add(digest)

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        """The epochs, and then the ends."""
        epochs, self._epochs = self._epochs, []
        for one in epochs:
            if one.digest not in self._ended:
                yield one
        for one in super().events(timeout):
            ended = one.digest in self._ended
            yield Event(one.digest, "failed", {}, "killed") if ended else one


if __name__ == "__main__":
    EXECUTORS.add("inline", Inline)
    search(Path(sys.argv[1]), executor=Killing)
