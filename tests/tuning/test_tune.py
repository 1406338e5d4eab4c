"""A search: its trials, what it leaves, and that nothing of it is lost or done twice."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import SpecError, StoreError, UsageError
from secateur.report.page.values import values
from secateur.spec import read_study
from secateur.study.job import Job
from secateur.study.store import Store
from secateur.tuning.record import TuningRecord, read_tuning

from ..study.inline import Inline, sweep
from .small_search import SPACE, found, search

pytest.importorskip("optuna")
pytestmark = pytest.mark.usefixtures("_inline")
Searched = tuple[Path, TuningRecord]
ROOT = Path(__file__).parents[2]


def done(folder: Path) -> Counter[str]:
    return Counter(digest for digest, how in Store(folder).attempts() if how == "done")


def test_the_first_trial_is_the_study_s_own_and_the_best_is_the_best(searched: Searched) -> None:
    _, record = searched
    first, *others = record.trials
    assert first.own
    assert first.settings == {"learning_rate": 1e-3, "optimizer": "adam"}
    assert len(others) == 3
    assert not any(one.own for one in others)
    values = [one.value for one in record.trials]
    assert record.best is record.trials[values.index(max(v for v in values if v is not None))]


def test_every_epoch_is_counted_and_kept(searched: Searched) -> None:
    folder, record = searched
    assert [one.epochs for one in record.trials] == [1, 1, 1, 1]
    assert record.epochs == 4
    assert record.seconds > 0
    assert read_tuning(Store(folder)) == record
    assert done(folder).total() == 4


def test_the_best_study_is_the_study_with_other_settings(searched: Searched) -> None:
    folder, record = searched
    tuned = read_study(folder / "best.toml")
    assert record.best is not None
    assert tuned.training.learning_rate == record.best.settings["learning_rate"]
    assert tuned.training.optimizer == record.best.settings["optimizer"]
    assert (tuned.training.base_epochs, tuned.training.retrain_epochs) == (1, 1)
    assert tuned.tuned_epochs == record.epochs
    assert tuned.tune is None
    assert tuned.name == "small-tuned"
    assert set(tuned.methods) == {"magnitude", "dense"}


def test_the_folder_is_that_of_the_best_trial(searched: Searched) -> None:
    folder, record = searched
    (point,) = Store(folder).points()
    assert record.best is not None
    assert point.val.value == record.best.value
    assert Store(folder).earlier() == 3


def test_the_page_shows_it(searched: Searched) -> None:
    folder, record = searched
    shown = values(Store(folder))["tuning"]
    assert shown["epochs"] == 4
    assert shown["best"] == record.best.number if record.best else None
    assert "4 trials consumed 4 epochs" in shown["words"]
    assert shown["trials"][0]["notes"] == ["the study's own settings"]


def test_it_goes_on_where_it_was_and_to_the_same_trials(tmp_path: Path, searched: Searched) -> None:
    first = search(tmp_path / "run", {"trials": 2})
    assert len(first.trials) == 2
    assert found(search(tmp_path / "run").trials) == found(searched[1].trials)
    assert done(tmp_path / "run") == done(searched[0])


@pytest.mark.timeout(900)  # another process imports torch, which takes minutes on a busy machine
def test_killed_it_goes_on_and_no_run_is_done_twice(tmp_path: Path, searched: Searched) -> None:
    script = "import runpy; runpy.run_module('tests.tuning.small_search', run_name='__main__')"
    told = [sys.executable, "-c", script, tmp_path / "run"]
    died = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=False)
    assert died.returncode == -9, died.stderr
    half = read_tuning(Store(tmp_path / "run"))
    assert half is not None
    assert len(half.trials) == 2
    record = search(tmp_path / "run")
    assert found(record.trials) == found(searched[1].trials)
    assert [one.begun for one in record.trials] == [1, 1, 2, 1]
    assert record.epochs == 4
    assert done(tmp_path / "run") == done(searched[0])


def test_stopped_by_ctrl_c_it_says_what_is_under_way(tmp_path: Path) -> None:
    class Stopped(Inline):
        def start(self, job: Job) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "run", {"trials": 1}, executor=Stopped)
    half = read_tuning(Store(tmp_path / "run"))
    assert half is not None
    assert [one.state for one in half.trials] == ["under way"]
    assert [one.begun for one in search(tmp_path / "run", {"trials": 1}).trials] == [2]


def test_a_trial_that_breaks_is_one_that_failed(tmp_path: Path) -> None:
    space = {"learning_rate": [1e-3, 1e30]}
    record = search(tmp_path / "run", {"trials": 4, "space": space})
    states = {one.settings["learning_rate"]: one.state for one in record.trials}
    assert states == {1e-3: "done", 1e30: "failed"}
    assert "not finite" in next(one.reason for one in record.trials if one.state == "failed")
    assert record.best is not None
    assert record.best.number == 0
    assert read_study(tmp_path / "run" / "best.toml").training.learning_rate == 1e-3


def test_settings_that_are_tried_twice_are_trained_once(tmp_path: Path) -> None:
    record = search(tmp_path / "run", {"trials": 3, "space": {"optimizer": ["adam", "sgd"]}})
    assert len(record.trials) == 3
    assert record.epochs == done(tmp_path / "run").total() <= 2


def test_several_at_a_time_share_an_executor_and_seeds_are_averaged(tmp_path: Path) -> None:
    made = []

    class Counted(Inline):
        def __init__(self, workers: int) -> None:
            made.append(workers)
            super().__init__(workers)

    record = search(tmp_path / "run", {"trials": 2}, executor=Counted, workers=4, seeds=2)
    assert made == [4]
    assert record.best is not None
    points = Store(tmp_path / "run").points()
    assert record.best.value == pytest.approx(sum(p.val.value for p in points) / 2)
    assert record.epochs == 4


def test_without_time_no_trial_is_begun(tmp_path: Path) -> None:
    record = search(tmp_path / "run", seconds=0.0)
    assert record.trials == ()
    assert not (tmp_path / "run" / "best.toml").exists()


@pytest.mark.parametrize("objective", ["quality", "hypervolume"])
def test_of_a_recipe_the_base_net_is_trained_once(tmp_path: Path, objective: str) -> None:
    space = {"retrain_learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}
    asked = {"what": "recipe", "objective": objective, "space": space, "trials": 2}
    record = search(tmp_path / "run", asked)
    base, *cut = Store(tmp_path / "run").points()
    assert base.method == "dense"
    assert [point.method for point in cut] == ["magnitude"] * 2
    # The chain of two levels, twice, behind one base net.
    assert [one.epochs for one in record.trials] == [3, 2]
    tuned = read_study(tmp_path / "run" / "best.toml")
    assert record.best is not None
    assert tuned.training.retrain_learning_rate == record.best.settings["retrain_learning_rate"]


def test_a_sweep_of_the_best_study_goes_on_with_its_dense_net(
    tmp_path: Path, searched: Searched
) -> None:
    shutil.copytree(searched[0], tmp_path / "run")
    tuned = read_study(tmp_path / "run" / "best.toml")
    notes = sweep(tmp_path / "run", **tuned.model_dump(mode="json", exclude_unset=True))
    assert "magnitude 0.3 seed 0" in notes.titles
    assert "dense base seed 0" not in notes.titles


@pytest.mark.parametrize(
    ("tune", "changes", "word"),
    [
        ({"space": {"learning_rate": [0.1, 0.2]}}, {}, "another space"),
        ({"seed": 3}, {}, "another space"),
        ({}, {"training": {"base_epochs": 2}}, "another study, data or network"),
    ],
)
def test_a_folder_of_another_search_is_refused(
    searched: Searched, tune: dict[str, Any], changes: dict[str, Any], word: str
) -> None:
    with pytest.raises(StoreError, match=f"{word}.*--out"):
        search(searched[0], tune, **changes)


def test_a_folder_of_a_sweep_is_refused(tmp_path: Path) -> None:
    sweep(tmp_path / "run")
    with pytest.raises(StoreError, match=r"folder of a sweep.*--out"):
        search(tmp_path / "run")


def test_a_damaged_file_of_trials_is_told_and_nothing_is_trained_again(
    tmp_path: Path, searched: Searched
) -> None:
    shutil.copytree(searched[0], tmp_path / "run")
    trials = tmp_path / "run" / "tuning.sqlite"
    trials.write_bytes(b"x" * 4096)
    with pytest.raises(StoreError, match=r"tuning\.sqlite.*Move it away"):
        search(tmp_path / "run")
    trials.rename(tmp_path / "away")
    record = search(tmp_path / "run")
    assert found(record.trials) == found(searched[1].trials)
    assert (record.epochs, record.before) == (0, 4)
    assert done(tmp_path / "run") == done(searched[0])


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, searched: Searched) -> None:
    shutil.copytree(searched[0], tmp_path / "run")
    trials = tmp_path / "run" / "tuning.sqlite"
    trials.rename(tmp_path / "elsewhere")
    trials.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="a link to elsewhere"):
        search(tmp_path / "run")


@pytest.mark.parametrize(
    ("tune", "error"),
    [
        ({"space": {"learning_rat": [1]}}, "learning_rate"),
        ({"space": {"retrain_learning_rate": [0.1]}}, "recipe"),
        ({"space": {"optimizer": ["adam", "lion"]}}, "lion"),
        ({"space": {"learning_rate": {"low": 0.0, "high": 0.1}}}, "more than 0"),
        ({"what": "recipe", "methods": ["dens"]}, "dense"),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_is_trained(
    tmp_path: Path, tune: dict[str, Any], error: str
) -> None:
    with pytest.raises(UsageError, match=error):
        search(tmp_path / "run", tune)
    assert not (tmp_path / "run").exists()


def test_spaces_are_what_a_study_file_says() -> None:
    with pytest.raises(SpecError, match="at least one value"):
        search(Path("nowhere"), {"space": {**SPACE, "optimizer": []}})
