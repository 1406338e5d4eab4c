"""The sweeps of the yardsticks: one run folder a study, which goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from secateur.point import Point
from secateur.study.observer import Observer
from secateur.study.store import Store
from secateur.study.sweep import run_study
from secateur.yardsticks.readings import Found
from secateur.yardsticks.studies import specs

Watch = Callable[[str, Path], AbstractContextManager[Observer]]
"""Of the study and its run folder: who is told of what happens in it."""


def sweep(
    studies: Iterable[str],
    folder: Path,
    data: str,
    size: str,
    *,
    device: str,
    workers: int | None,
    threads: int | None,
    watch: Watch,
    tell: Callable[[dict[str, Found]], None] = lambda _: None,
) -> dict[str, Found]:
    """Perform studies, or go on with them.

    Args:
        studies: Their names.
        folder: Where their run folders are.
        data: As for `secateur.yardsticks.studies.specs`.
        size: Likewise.
        device: As of every sweep.
        workers: Likewise.
        threads: Likewise.
        watch: Who is told.
        tell: Called after each study with all that has been found so far.

    Returns:
        The points, by study and by recipe.

    Raises:
        UsageError: A study cannot be run as it stands.
        StoreError: A folder cannot be written.
    """
    found: dict[str, Found] = {}
    for name in studies:
        place = folder / name
        by_recipe: dict[str, tuple[Point, ...]] = {}
        for recipe, spec in specs(name, data, size).items():
            with watch(f"{name} {recipe}".strip(), place) as observer:
                run_study(
                    spec,
                    place,
                    device=device,
                    workers=workers,
                    threads=threads,
                    timing=False,
                    observer=observer,
                )
            # The next recipe of the same folder has a plan of its own.
            by_recipe[recipe] = Store(place).points()
        found[name] = by_recipe
        tell(found)
    return found
