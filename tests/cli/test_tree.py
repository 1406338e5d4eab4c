import io

import pytest
from rich.console import Console
from rich.text import Text

from secateur.cli.tree import ASCII, Marks, StudyTree, clock
from secateur.spec import StudySpec
from secateur.study.plan import Run, plan
from secateur.study.progress import SweepProgress

STUDY = {
    "methods": {"magnitude": {"levels": [0.5, 0.9]}, "slimming": {"levels": [0.5]}, "dense": {}},
    "training": {"base_epochs": 4, "retrain_epochs": 3},
    "seeds": 3,
}


@pytest.fixture
def progress() -> SweepProgress:
    """Seed 0: one point done, one under way, one failed."""
    made = SweepProgress()
    made.planned(plan(StudySpec.model_validate(STUDY), {"data": ""}), frozenset())
    base, first, second, slim = made.runs[:4]
    for run, reason in ((base, ""), (first, ""), (slim, "out of memory")):
        made.started(run)
        made.ended(run, reason)
    made.started(second)
    made.epoch(second, {"epoch": 1, "loss": 0.25, "val_accuracy": 0.875})
    return made


def drawn(
    progress: SweepProgress, height: int = 40, width: int = 100, encoding: str = "utf-8"
) -> list[str]:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=out, force_terminal=True, width=width, height=height, _environ={})
    console.print(StudyTree(progress, best="best so far: none").drawn(console), no_wrap=True)
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    text = Text.from_ansi(out.buffer.getvalue().decode(encoding))
    assert all(line.cell_len <= width for line in text.split())
    return [line.rstrip() for line in text.plain.splitlines()]


def test_each_seed_has_its_base_its_methods_and_their_levels(progress: SweepProgress) -> None:
    lines = drawn(progress)
    assert lines[1:8] == [
        "best so far: none",
        "✓ dense base seed 0",
        "├── magnitude ✓ 0.5 ▸ 0.9",
        "│   └── 0.9  ━━━━━───────────  1/3 epochs  loss 0.250  val 0.8750",
        "├── slimming  ✗ sparsity training · 0.5",
        "└── dense     · +3 epochs · +6 epochs · +9 epochs · +12 epochs · +15 epochs",
        "· dense base seed 1",
    ]
    assert "3/30 runs" in lines[0]
    assert len(lines) == 2 + 5 + 4 + 4


def test_a_base_net_under_way_shows_its_epochs(progress: SweepProgress) -> None:
    base = next(run for run in progress.runs if run.seed == 1)
    progress.started(base)
    progress.epoch(base, {"epoch": 2, "loss": float("nan"), "val_accuracy": 0.5})
    lines = drawn(progress)
    at = lines.index("▸ dense base seed 1")
    assert lines[at + 1] == "├── training  ━━━━━━━━────────  2/4 epochs  loss nan  val 0.5000"


def test_a_low_terminal_shows_where_something_is_under_way(progress: SweepProgress) -> None:
    assert drawn(progress, height=12)[2:] == [
        "✓ dense base seed 0",
        "├── magnitude ✓ 0.5 ▸ 0.9",
        "│   └── 0.9  ━━━━━───────────  1/3 epochs  loss 0.250  val 0.8750",
        "├── slimming  ✗ sparsity training · 0.5",
        "└── dense     · +3 epochs · +6 epochs · +9 epochs · +12 epochs · +15 epochs",
        "· seed 1  0 of 10 runs",
        "· seed 2  0 of 10 runs",
    ]
    only = ["magnitude 0.9 seed 0  ━━━━━───────────  1/3 epochs  loss 0.250  val 0.8750"]
    assert drawn(progress, height=5)[2:] == only
    assert drawn(progress, height=2)[2:] == []


def test_a_seed_without_a_failure_and_one_with_are_told_apart(progress: SweepProgress) -> None:
    for run in progress.runs:
        if run.seed == 1:
            progress.ended(run, "")
        if run.seed == 2:
            progress.ended(run, "no" if run.kind == "base" else "")
    assert drawn(progress, height=12)[-2:] == [
        "✓ seed 1  10 of 10 runs",
        "✗ seed 2  10 of 10 runs, 1 failed",
    ]


@pytest.mark.parametrize("width", [1, 8, 20, 60])
@pytest.mark.parametrize("height", [1, 3, 8, 40])
def test_no_terminal_is_too_small(progress: SweepProgress, width: int, height: int) -> None:
    assert len(drawn(progress, height, width)) <= max(height - 1, 2)


def test_a_terminal_without_unicode_gets_plain_characters(progress: SweepProgress) -> None:
    lines = drawn(progress, encoding="ascii")
    assert "+-- magnitude + 0.5 > 0.9" in lines
    assert all(line.isascii() for line in lines)


def test_marks_differ_without_colour() -> None:
    for marks in (Marks(), ASCII):
        assert len({marks.done, marks.failed, marks.underway, marks.waiting}) == 4


def test_timing_takes_the_place_of_the_best(progress: SweepProgress) -> None:
    progress.timing(7)
    assert drawn(progress)[1] == "Timing 7 different nets side by side."


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7325, "2:02:05")]
)
def test_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_study_without_points_has_a_tree(progress: SweepProgress) -> None:
    bare: tuple[Run, ...] = progress.runs[:1]
    alone = SweepProgress()
    alone.planned(bare, frozenset({bare[0].digest}))
    assert drawn(alone)[2:] == ["✓ dense base seed 0"]
