import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from secateur.cli import progress as module
from secateur.cli.progress import Progress, best_so_far, epochs_of
from secateur.study.plan import Run
from secateur.study.store import Store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
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
        "[1/3] dense base seed 0, 4 epochs: done  about 1:00 left",
        "[2/3] magnitude 0.5 seed 0, +3 epochs (7 in all): done  about 0:30 left",
        "[3/3] magnitude 0.9 seed 0, +3 epochs (10 in all): done",
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
    assert "[2/3] magnitude 0.5 seed 0, +3 epochs (7 in all): done" in out.getvalue()


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
        "[2/3] magnitude 0.5 seed 0, +3 epochs (7 in all): failed: the loss [bold] is not finite"
        "  about 0:30 left"
    )


def test_a_run_that_was_never_started_may_end(runs: tuple[Run, ...], clock: list[float]) -> None:
    progress, out = told()
    with progress:
        progress.planned(runs, frozenset())
        progress.ended(runs[1], "not run: dense base seed 0 failed")
    assert "failed: not run: dense base" in out.getvalue()


def test_on_a_terminal_the_tree_is_live_and_gone_at_the_end(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=120, height=20, _environ={})
    with Progress(terminal, best=lambda: "best so far: this one") as progress:
        progress.planned(runs, frozenset())
        train(progress, runs[0], 2, clock)
        assert progress._live is not None
        progress._live.refresh()
        shown = Text.from_ansi(out.getvalue()).plain
        progress.ended(runs[0], "")
    for words in ("dense base seed 0", "2/4 epochs", "loss 0.500  val 0.2500", "about 1:20 left"):
        assert words in shown
    assert "best so far: this one" in shown
    assert "dense base seed 0: done" not in out.getvalue()  # the tree says so
    assert out.getvalue().endswith("\x1b[2K")  # the last line of the display is erased


def test_a_failure_stays_on_the_terminal(runs: tuple[Run, ...], clock: list[float]) -> None:
    progress, out = told(terminal=True)
    with progress:
        progress.planned(runs, frozenset())
        progress.started(runs[0])
        progress.ended(runs[0], "out of memory")
    assert "[1/3] dense base seed 0, 4 epochs: failed: out of memory" in out.getvalue()


class Gone(io.StringIO):
    """A terminal whose window was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_goes_away_does_not_end_the_sweep(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    with Progress(Console(file=Gone(), width=80)) as progress:
        progress.planned(runs, frozenset())
        progress.ended(runs[0], "out of memory")
        progress.timing(3)


def test_the_best_point_is_looked_for_only_as_often_as_it_is_cheap(
    runs: tuple[Run, ...], clock: list[float]
) -> None:
    asked = []

    def best() -> str:
        asked.append(clock[0])
        clock[0] += 2
        return f"best of {len(asked)}"

    terminal = Console(file=io.StringIO(), force_terminal=True, _environ={})
    with Progress(terminal, best=best) as progress:
        progress.planned(runs, frozenset())
        for run in runs:  # each takes 10 s, and a search 2
            train(progress, run, 1, clock)
            progress.ended(run, "")
        clock[0] += 15
        progress.ended(runs[2], "")
    assert asked == [0, 47]


def test_the_best_so_far_is_the_pick_close_to_the_dense_net(
    tmp_path: Path, make_point: Callable[..., Any], put: Callable[..., None]
) -> None:
    assert best_so_far(tmp_path / "nowhere") == ""
    dense, half = make_point("dense", (), 90), make_point("magnitude", (0.5,), 91)
    most = make_point("magnitude", (0.9,), 88, step=1)
    with Store.writing(tmp_path) as store:
        store.begin({}, [run for run, _ in (dense, half, most)])
        assert best_so_far(tmp_path) == ""
        put(store, *dense)
        assert best_so_far(tmp_path) == "best so far: the dense net, val 0.9000"
        put(store, *most)
        put(store, *half)
    assert best_so_far(tmp_path) == (
        "best so far within 0.01 of the dense net: magnitude at 0.5, sparsity 0.5000, val 0.9100"
    )


def test_what_a_run_trains_is_told_with_all_that_is_behind_it(runs: tuple[Run, ...]) -> None:
    assert [epochs_of(run) for run in runs] == [
        "4 epochs",
        "+3 epochs (7 in all)",
        "+3 epochs (10 in all)",
    ]
    assert epochs_of(replace(runs[1], epochs=1, spent={"base": 0, "retrain": 1})) == "1 epoch"
