import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from secateur.cli import progress as module
from secateur.cli.progress import Progress
from secateur.spec import StudySpec
from secateur.study.plan import Run, plan


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
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def told(terminal: bool = False) -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    return Progress(Console(file=out, force_terminal=terminal, width=120)), out


def train(progress: Progress, run: Run, epochs: int, clock: list[float], each: float = 10) -> None:
    progress.started(run)
    for epoch in range(1, epochs + 1):
        clock[0] += each
        progress.epoch(run, {"epoch": epoch, "loss": 0.5, "val_accuracy": 0.25})


def test_without_a_terminal_every_run_leaves_a_line(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    progress, out = told()
    with progress:
        progress.planned(runs, frozenset())
        for run in runs:
            train(progress, run, run.epochs, clock)
            progress.ended(run, "")
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "3 runs, 10 epochs to train.",
        "[1/3] dense base seed 0: done  about 1:00 left",
        "[2/3] magnitude 0.5 seed 0: done  about 0:30 left",
        "[3/3] magnitude 0.9 seed 0: done",
    ]


def test_a_study_that_goes_on_says_what_was_finished_before(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    progress, out = told()
    with progress:
        progress.planned(runs, frozenset({runs[0].digest, "of another study"}))
        progress.started(runs[1])
        progress.ended(runs[1], "")
    assert out.getvalue().startswith("3 runs, 6 epochs to train. 1 of 3 runs were finished before")
    assert "[2/3] magnitude 0.5 seed 0: done" in out.getvalue()


def test_a_failure_says_why_and_its_epochs_are_not_waited_for(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    progress, out = told()
    with progress:
        progress.planned(runs, frozenset())
        train(progress, runs[0], 4, clock)
        progress.ended(runs[0], "")
        train(progress, runs[1], 1, clock)
        progress.ended(runs[1], "the loss [bold] is not finite")
    # Of 10 epochs 5 were trained and 2 never will be.
    last = out.getvalue().splitlines()[-1]
    assert last == (
        "[2/3] magnitude 0.5 seed 0: failed: the loss [bold] is not finite  about 0:30 left"
    )


def test_a_run_that_was_never_started_may_end(runs: tuple[Run, ...], clock: list[float]) -> None:
    progress, out = told()
    with progress:
        progress.planned(runs, frozenset())
        progress.ended(runs[1], "not run: dense base seed 0 failed")
    assert "failed: not run: dense base" in out.getvalue()


def test_on_a_terminal_the_run_its_epoch_loss_and_accuracy_are_shown(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    progress, out = told(terminal=True)
    with progress:
        progress.planned(runs, frozenset())
        train(progress, runs[0], 2, clock)
        progress._bars.refresh()
    shown = out.getvalue()
    for word in ("dense base seed 0", "2/4 epochs", "loss 0.500  val 0.2500", "about 1:20 left"):
        assert word in shown
