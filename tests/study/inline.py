"""A study that is swept in this process: quick enough to be damaged in many ways."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import nn

from secateur.data.images import ImageData
from secateur.data.shapes import shapes
from secateur.point import Point
from secateur.spec import StudySpec
from secateur.study.executors.protocol import Event
from secateur.study.job import Job
from secateur.study.observer import Silent
from secateur.study.plan import Run
from secateur.study.run import perform
from secateur.study.store import Store
from secateur.study.sweep import run_study
from secateur.study.worker import reason_of

SETTINGS: dict[str, Any] = {
    "name": "inline",
    "levels": [0.3, 0.6],
    "training": {"base_epochs": 1, "retrain_epochs": 1},
    "methods": {"magnitude": {}, "dense": {}},
    "executor": "inline",
}


class Inline:
    """An executor that performs each job at once, where the sweep is."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._told: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    @property
    def free(self) -> int:
        return self.workers - len(self._told)

    @property
    def busy(self) -> bool:
        return bool(self._told)

    def start(self, job: Job) -> None:
        try:
            event = Event(job.run.digest, "done", perform(job))
        except Exception as error:
            event = Event(job.run.digest, "failed", {}, reason_of(error))
        self._told.append(event)

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        told, self._told = self._told, []
        yield from told


def net(shape: Any, classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 6), nn.Linear(6, classes))


def data() -> ImageData:
    return shapes(train=64, val=10, test=10, size=8)


class Notes(Silent):
    """Which runs a sweep did, and how they ended."""

    def __init__(self) -> None:
        self.finished: frozenset[str] = frozenset()
        self.ends: list[tuple[str, str]] = []

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        self.finished = finished

    def ended(self, run: Run, reason: str) -> None:
        self.ends.append((run.title, reason))

    @property
    def titles(self) -> list[str]:
        return [title for title, _ in self.ends]


def sweep(
    folder: Path, notes: Notes | None = None, *, shared: bool = False, **changes: Any
) -> Notes:
    """Run the study in a folder, or go on with it; the executor `inline` has to be registered."""
    notes = notes or Notes()
    spec = StudySpec.model_validate({**SETTINGS, **changes})
    images = data()
    run_study(
        spec, folder, model=net, data=images, threads=1, workers=1, timing=False, shared=shared,
        observer=notes,
    )  # fmt: skip
    return notes


def points(folder: Path) -> tuple[Point, ...]:
    """What was measured, without the times."""
    return tuple(replace(point, seconds=0, training_seconds=0) for point in Store(folder).points())


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "points").iterdir()}


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def lose(path: Path) -> None:
    path.unlink()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


DAMAGES: Mapping[str, Callable[[Path], None]] = {"lost": lose, "cut off": cut_off, "flipped": flip}
