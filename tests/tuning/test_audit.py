"""What is counted for which trial."""

import time
from typing import Any

import pytest

from secateur.study.plan import Run
from secateur.tuning.audit import TuningAudit, passes_of


class Noted:
    """A trial that is told of what was counted."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.told: list[tuple[int, float]] = []

    def note(self, epochs: int, seconds: float) -> None:
        self.told.append((epochs, seconds))


def run(name: str, epochs: int = 2, parents: dict[str, str] | None = None, **spent: int) -> Run:
    return Run(name, "point", "magnitude", (0.5,), 0, 1, 0, parents or {}, epochs, spent)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_epochs_and_seconds_are_those_of_runs_that_were_trained(now: list[float]) -> None:
    first, second = Noted(3), Noted(5)
    shared, own = run("shared"), run("own")
    trials: Any = [(first, [shared]), (second, [shared, own])]
    audit = TuningAudit(trials)
    for one in (shared, own):
        audit.started(one)
        for _ in range(one.epochs):
            now[0] += 1.5
            audit.epoch(one, {})
        audit.ended(one, "")
    assert first.told[-1] == (2, 3.0)
    assert second.told[-1] == (2, 3.0)


def test_it_is_kept_once_a_second_and_at_the_end(now: list[float]) -> None:
    trial = Noted(0)
    one = run("one", epochs=10)
    audit = TuningAudit([(trial, [one])])  # type: ignore[list-item]
    audit.started(one)
    for _ in range(5):
        now[0] += 0.3
        audit.epoch(one, {})
    assert trial.told == [(1, pytest.approx(0.3)), (5, pytest.approx(1.5))]
    audit.ended(one, "killed")
    assert trial.told[-1] == (5, pytest.approx(1.5))


def test_what_is_counted_as_epochs_without_being_told_of_is_counted(now: list[float]) -> None:
    trial = Noted(0)
    base = run("base", 3, base=3)
    cut = run("cut", 2, {"base": "base"}, base=3, retrain=2, statistics=1, teacher=1)
    again = run("again", 2, {"previous": "cut"}, base=3, retrain=4, statistics=2, teacher=2)
    audit = TuningAudit([(trial, [base, cut, again])])  # type: ignore[list-item]
    for one in (base, cut, again):
        audit.started(one)
        audit.ended(one, "")
    assert trial.told[-1][0] == 3 + (2 + 2) + (2 + 2)
    assert passes_of(again, {}) == 4
