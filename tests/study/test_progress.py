from secateur.study.plan import Run
from secateur.study.progress import SweepProgress


def train(progress: SweepProgress, run: Run, epochs: int, clock: list[float]) -> None:
    progress.started(run)
    for epoch in range(1, epochs + 1):
        clock[0] += 10
        progress.epoch(run, {"epoch": epoch, "loss": 0.5, "val_accuracy": 0.25, "more": 1.0})


def test_epochs_runs_and_the_time_left(runs: tuple[Run, ...], clock: list[float]) -> None:
    progress = SweepProgress()
    progress.planned(runs, frozenset())
    assert (progress.left, progress.trained, progress.seconds_left()) == (10, 0, None)
    train(progress, runs[0], 2, clock)
    assert progress.seconds_left() == 80
    entry = progress.underway[runs[0].digest]
    assert (entry.run, entry.epoch) == (runs[0], 2)
    assert entry.values == {"loss": 0.5, "val_accuracy": 0.25}
    for epoch in (3, 4):
        clock[0] += 10
        progress.epoch(runs[0], {"epoch": epoch, "loss": 0.4, "val_accuracy": 0.5})
    progress.ended(runs[0], "")
    assert progress.underway == {}
    assert progress.reasons == {runs[0].digest: ""}
    for run in runs[1:]:
        train(progress, run, 3, clock)
        progress.ended(run, "")
    assert (progress.trained, progress.left, progress.seconds_left()) == (10, 10, None)


def test_what_was_finished_before_counts_as_ended_and_is_not_waited_for(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    progress = SweepProgress()
    progress.planned(runs, frozenset({runs[0].digest, "of another study"}))
    assert progress.reasons == {runs[0].digest: ""}
    assert progress.left == 6


def test_epochs_that_a_failure_made_vain_are_not_waited_for(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    progress = SweepProgress()
    progress.planned(runs, frozenset())
    train(progress, runs[0], 2, clock)
    progress.ended(runs[0], "out of memory")
    progress.ended(runs[1], "not run")  # it was never started
    assert progress.left == 2 + 3
    assert progress.seconds_left() == 30
    assert list(progress.reasons.values()) == ["out of memory", "not run"]


def test_the_minute_in_which_workers_start_is_not_counted_for_every_epoch(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    progress = SweepProgress()
    progress.planned(runs, frozenset())
    clock[0] += 60
    train(progress, runs[0], 1, clock)
    assert progress.seconds_left() is None  # one epoch that ended tells no pace yet
    clock[0] += 10
    progress.epoch(runs[0], {"epoch": 2, "loss": 0.5, "val_accuracy": 0.25})
    assert progress.seconds_left() == 80
