"""A study of a small net, of which every run has been done."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from secateur.data.images import ImageData
from secateur.point import Point
from secateur.spec import StudySpec
from secateur.study.checkpoint import load_checkpoint
from secateur.study.folder import checkpoint_name
from secateur.study.job import Job, Setup
from secateur.study.plan import Run, plan
from secateur.study.run import perform

from .small_nets import one_norm


class Study:
    """Every run of a study, done one after the other."""

    def __init__(
        self,
        folder: Path,
        data: ImageData,
        settings: dict[str, Any],
        build: Callable[..., nn.Module] = one_norm,
    ) -> None:
        self.study = StudySpec.model_validate(settings)
        self.folder = folder
        (folder / "points").mkdir()
        self.runs = plan(self.study, {"data": data.fingerprint()})
        self.told: dict[str, list[int]] = {run.digest: [] for run in self.runs}
        self.points: dict[str, Point] = {}
        job = Job(self.runs[0], Setup(self.study, folder, build, data))
        for run in self.runs:
            told = self.told[run.digest]
            found = perform(replace(job, run=run), lambda one, told=told: told.append(one.epoch))  # type: ignore[misc]
            if "point" in found:
                self.points[run.digest] = Point.from_dict(found["point"])

    def find(self, method: str, step: int = 0) -> Run:
        return next(run for run in self.runs if (run.method, run.step) == (method, step))

    def point(self, method: str, step: int = 0) -> Point:
        return self.points[self.find(method, step).digest]

    def saved(self, method: str, step: int = 0) -> Any:
        return load_checkpoint(self.folder / checkpoint_name(self.find(method, step).digest))
