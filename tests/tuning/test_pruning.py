"""Trials that do worse than others are not trained on."""

from pathlib import Path
from typing import Any

import pytest

from secateur.errors import UsageError
from secateur.study.plan import Run
from secateur.study.store import Store
from secateur.tuning.pruning import TrialPruning

from .small_search import Telling, search


class Asked:
    """A trial whose pruner says so at one epoch."""

    def __init__(self, number: int, at: int) -> None:
        self.number = number
        self.trial = self
        self.at = at
        self.told: list[tuple[float, int]] = []

    def report(self, score: float, epoch: int) -> None:
        self.told.append((score, epoch))

    def should_prune(self) -> bool:
        return self.told[-1][1] == self.at


def run(digest: str, epochs: int = 3) -> Run:
    return Run(digest, "base", "dense", (), 0, 0, 0, {}, epochs, {})


def test_it_goes_by_the_mean_of_the_seeds_and_ends_all_of_a_trial() -> None:
    stopped: list[str] = []
    trial, runs = Asked(0, at=2), [run("a"), run("b"), run("c")]
    trials: Any = [(trial, runs), (Asked(1, at=9), [run("d")])]
    pruning = TrialPruning(trials, stopped.append)
    for one in runs[:2]:
        pruning.started(one)
    for epoch in (1, 2):
        for score, one in enumerate(runs):
            pruning.epoch(one, {"epoch": epoch, "loss": 9.0, "val_accuracy": float(score)})
    assert trial.told == [(1.0, 1), (1.0, 2)]
    assert stopped == ["a", "b"]
    pruning.started(runs[2])
    assert stopped == ["a", "b", "c"]
    assert pruning.stopped == {"a", "b", "c"}


def test_in_the_last_epoch_and_after_the_end_nothing_is_ended() -> None:
    stopped: list[str] = []
    one = run("a")
    trials: Any = [(Asked(0, at=3), [one])]
    pruning = TrialPruning(trials, stopped.append)
    pruning.started(one)
    pruning.epoch(one, {"epoch": 3, "val_accuracy": 0.5})
    pruning.epoch(one, {"epoch": 2, "loss": 0.5})
    pruning.ended(one, "")
    assert (stopped, pruning.stopped) == ([], set())


@pytest.mark.usefixtures("_inline")
def test_a_trial_that_is_pruned_is_counted_and_is_not_the_best(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    asked = {
        "trials": 8,
        "pruner": "median",
        "space": {"learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}},
    }
    training = {"base_epochs": 3, "retrain_epochs": 0}
    record = search(tmp_path / "run", asked, executor=Telling, training=training)
    states = {one.state for one in record.trials}
    assert states == {"done", "pruned"}
    pruned = [one for one in record.trials if one.state == "pruned"]
    assert all(1 <= one.epochs < 3 for one in pruned)
    assert all(one.number >= 4 for one in pruned)
    assert record.best is not None
    assert record.best.state == "done"
    assert len(Store(tmp_path / "run").points()) == 1


@pytest.mark.usefixtures("_inline")
def test_an_executor_that_ends_no_run_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(UsageError, match="--pruner"):
        search(tmp_path / "run", {"pruner": "halving"})
