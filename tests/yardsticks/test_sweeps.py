"""The sweeps of the yardsticks: recipes of one folder, one after the other."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from secateur.registry import EXECUTORS
from secateur.spec import StudySpec, check_study
from secateur.study.observer import Observer
from secateur.yardsticks import sweeps
from secateur.yardsticks.readings import Found

from ..study.inline import Inline, Notes

DATA = {"name": "shapes", "options": {"train": 32, "val": 20, "test": 20, "size": 12}}


def two(name: str, data: str, size: str) -> dict[str, StudySpec]:
    training = {"base_epochs": 1, "retrain_epochs": 1, "budget": "total"}
    methods = {"magnitude": {"levels": [0.8], "schedule": "one-shot"}}
    return {
        recipe: check_study(
            {
                "model": "lenet-300-100", "data": DATA, "executor": "inline", "methods": methods,
                "training": {**training, "retrain": recipe},
            },
            "a test",
        )
        for recipe in ("fine-tune", "rewind-rate")
    }  # fmt: skip


@pytest.mark.usefixtures("_registered_for_one_test")
def test_recipes_share_the_base_net_and_go_on_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EXECUTORS.add("inline", Inline)
    monkeypatch.setattr(sweeps, "specs", two)
    notes, told = Notes(), []

    def watch(name: str, place: Path) -> AbstractContextManager[Observer]:
        return nullcontext(notes)

    def once() -> dict[str, Found]:
        return sweeps.sweep(
            ["a"], tmp_path, "fashion-mini", "small",
            device="cpu", workers=1, threads=1, watch=watch, tell=told.append,
        )  # fmt: skip

    found = once()
    assert notes.titles.count("dense base seed 0") == 1
    assert [len(points) for points in found["a"].values()] == [2, 2]
    assert told == [found]
    done = len(notes.titles)
    assert once() == found
    assert len(notes.titles) == done
