"""A study in Python: run it, and ask what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secateur.point import Point
from secateur.registry import METHODS
from secateur.spec import GIVEN, check_study
from secateur.study.frontier import Pick, frontier, pick
from secateur.study.replicate import Replicate, replicates
from secateur.study.store import Store

if TYPE_CHECKING:
    from torch import nn

    from secateur.data.images import ImageData
    from secateur.study.sweep import Observer

CONTROLS = frozenset(name for name in METHODS if METHODS[name].control)


class Study:
    """What a run folder holds.

    Args:
        folder: A run folder, finished or not.

    Raises:
        StoreError: There is no study in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._store = Store(self.folder)

    def __repr__(self) -> str:
        left = self._store.missing()
        more = f", {left} runs to be done" if left else ""
        return f"Study({str(self.folder)!r}: {len(self.points)} points{more})"

    @property
    def points(self) -> tuple[Point, ...]:
        """Every measured point, in the order of the plan."""
        return self._store.points()

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """What failed, and why."""
        return self._store.failures()

    def frontier(self, x: str = "sparsity") -> tuple[Replicate, ...]:
        """The levels that no other beats on both `x` and mean validation accuracy."""
        return frontier(replicates(self.points), (x, "val_accuracy"), CONTROLS)

    def pick(
        self,
        *,
        min_accuracy: float | None = None,
        within: float | None = None,
        x: str = "sparsity",
    ) -> Pick:
        """The best level on `x` whose mean validation accuracy meets a floor."""
        return pick(self.points, min_accuracy=min_accuracy, within=within, x=x, controls=CONTROLS)

    def checkpoint(self, point: Point) -> Path:
        """The file with a point's weights."""
        return self.folder / point.checkpoint


def sweep(
    model: str | Callable[..., nn.Module] = "conv4",
    data: str | ImageData = "fashion-mini",
    *,
    methods: Sequence[str] | Mapping[str, Mapping[str, Any]] = ("magnitude", "l1-filter", "dense"),
    levels: Sequence[float | Sequence[float]] = (0.5, 0.7, 0.8, 0.9, 0.95),
    seeds: int | Sequence[int] = 1,
    out: str | Path | None = None,
    name: str = "study",
    device: str = "auto",
    workers: int | None = None,
    observer: Observer | None = None,
    **training: Any,
) -> Study:
    """Prune a network by several methods under one budget, or go on where that stopped.

    Runs are performed in worker processes, so a script calls this under
    `if __name__ == "__main__":`.

    Args:
        model: A reference net's name, `package.module:function`, or a function that returns the
            network (called with `shape` and `classes` if it takes them).
        data: A data set's name, or `ImageData` (see `secateur.data.from_dataset`).
        methods: Names, or a table of names and options as in a study file.
        levels: Sparsities for every method.
        seeds: How many, or which.
        out: The run folder; `runs/NAME` by default.
        name: Of the study.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        workers: Worker processes; chosen for the machine by default.
        observer: Told of everything that happens.
        **training: Fields of `TrainingSpec`: `base_epochs`, `retrain_epochs`, `batch_size`, ...

    Raises:
        UsageError: Something asked for cannot be; nothing was trained.
    """
    # Reading a study takes no torch, running one does.
    from secateur.study.sweep import run_study

    table = methods if isinstance(methods, Mapping) else {each: {} for each in methods}
    settings = {
        "name": name,
        "model": model if isinstance(model, str) else _name_of(model),
        "data": data if isinstance(data, str) else GIVEN,
        "methods": table,
        "levels": levels,
        "seeds": seeds,
        "training": training,
    }
    folder = Path(out) if out is not None else Path("runs") / name
    run_study(
        check_study(settings, "the arguments"),
        folder,
        model=None if isinstance(model, str) else model,
        data=None if isinstance(data, str) else data,
        device=device,
        workers=workers,
        observer=observer,
    )
    return Study(folder)


def _name_of(function: Callable[..., nn.Module]) -> str:
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', 'model')}"
