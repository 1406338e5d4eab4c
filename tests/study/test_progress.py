import pytest

from secateur.spec import StudySpec
from secateur.study import progress as module
from secateur.study.plan import Run, plan
from secateur.study.progress import Tally


@pytest.fixture
def runs() -> tuple[Run, ...]:
    study = StudySpec.model_validate(
        {
            "methods": {"magnitude": {"levels": [0.5, 0.9]}},
            "training": {"base_epochs": 4, "retrain_epochs": 3},
        }
    )
    return plan(study, {"data": ""})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def train(tally: Tally, run: Run, epochs: int, clock: list[float]) -> None:
    tally.started(run)
    for epoch in range(1, epochs + 1):
        clock[0] += 10
        tally.epoch(run, {"epoch": epoch, "loss": 0.5, "val_accuracy": 0.25, "more": 1.0})


def test_epochs_runs_and_the_time_left(runs: tuple[Run, ...], clock: list[float]) -> None:
    tally = Tally()
    tally.planned(runs, frozenset())
    assert (tally.left, tally.trained, tally.seconds_left()) == (10, 0, None)
    train(tally, runs[0], 2, clock)
    assert tally.seconds_left() == 80
    entry = tally.underway[runs[0].digest]
    assert (entry.run, entry.epoch) == (runs[0], 2)
    assert entry.values == {"loss": 0.5, "val_accuracy": 0.25}
    for epoch in (3, 4):
        clock[0] += 10
        tally.epoch(runs[0], {"epoch": epoch, "loss": 0.4, "val_accuracy": 0.5})
    tally.ended(runs[0], "")
    assert tally.underway == {}
    assert tally.reasons == {runs[0].digest: ""}
    for run in runs[1:]:
        train(tally, run, 3, clock)
        tally.ended(run, "")
    assert (tally.trained, tally.left, tally.seconds_left()) == (10, 10, None)


def test_what_was_finished_before_counts_as_ended_and_is_not_waited_for(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    tally = Tally()
    tally.planned(runs, frozenset({runs[0].digest, "of another study"}))
    assert tally.reasons == {runs[0].digest: ""}
    assert tally.left == 6


def test_epochs_that_a_failure_made_vain_are_not_waited_for(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    tally = Tally()
    tally.planned(runs, frozenset())
    train(tally, runs[0], 1, clock)
    tally.ended(runs[0], "out of memory")
    tally.ended(runs[1], "not run")  # it was never started
    assert tally.left == 1 + 3
    assert tally.seconds_left() == 30
    assert list(tally.reasons.values()) == ["out of memory", "not run"]
