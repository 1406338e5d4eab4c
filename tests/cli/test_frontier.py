import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secateur.cli import app
from secateur.cli.frontier import draw
from secateur.errors import SecateurError, StoreError, UsageError
from secateur.study.plan import Run
from secateur.study.store import Store
from secateur.study.study import RunFolder


def run_of(method: str, level: tuple[float, ...], step: int) -> Run:
    name = f"{method}-{step}".ljust(20, "0")
    kind = "base" if method == "dense" else "point"
    return Run(name, kind, method, level, step, 1, 0, {}, 1, {})  # type: ignore[arg-type]


MEASURED = [
    (run_of("dense", (), 0), 90),
    (run_of("magnitude", (0.5,), 0), 91),
    (run_of("magnitude", (0.9,), 1), 88),
    (run_of("l1-filter", (0.5,), 0), 80),
]


@pytest.fixture
def folder(tmp_path: Path, make_point, put) -> Path:
    bad, left = run_of("combined", (0.5,), 0), run_of("slimming", (0.5,), 0)
    with Store.writing(tmp_path / "run") as store:
        store.begin({}, [*(run for run, _ in MEASURED), bad, left])
        for run, correct in MEASURED:
            put(store, *make_point(run.method, run.level, correct, run.step))
        store.record_end(store.record_start(bad), bad, "failed", "out of memory")
    return tmp_path / "run"


def invoke(folder: Path, *options: str) -> tuple[str, str]:
    done = CliRunner().invoke(app, ["frontier", str(folder), *options], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout, done.stderr


def test_the_table_marks_the_frontier_and_says_what_is_missing(folder: Path) -> None:
    out, err = invoke(folder)
    marked = [line.split()[1:3] for line in out.splitlines() if line.startswith("* ")]
    assert ["magnitude", "0.5"] in marked
    assert ["magnitude", "0.9"] in marked
    assert not any(words[0] == "l1-filter" for words in marked)
    # magnitude: 0.5 x 0.91 + 0.4 x 0.88; l1-filter: 0.5 x 0.8.
    assert "magnitude 0.8070, l1-filter 0.4000" in out
    assert err == ("Failed: combined 0.5 seed 0: out of memory\n1 runs are still to be done.\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--min-accuracy", "0.9"], "magnitude at 0.5: sparsity 0.5000"),
        (["--min-accuracy", "0.85"], "magnitude at 0.9: sparsity 0.9000"),
        (["--within", "0.02"], "magnitude at 0.9: sparsity 0.9000"),
        (["--within", "0.01"], "magnitude at 0.5: sparsity 0.5000"),
        (["--min-accuracy", "0.99"], "No level reaches"),
        (["--min-quality", "0.9"], "magnitude at 0.5: sparsity 0.5000"),
        (["--within", ".02"], "magnitude at 0.9: sparsity 0.9000"),
    ],
)
def test_the_pick_under_a_floor(folder: Path, options: list[str], sentence: str) -> None:
    assert sentence in invoke(folder, *options)[0].splitlines()[-1]


def test_json_is_one_object_a_point_and_nothing_else(folder: Path) -> None:
    out, err = invoke(folder, "--json")
    listed = json.loads(out)
    assert [each["digest"] for each in listed] == [run.digest for run, _ in MEASURED]
    assert [each["on_frontier"] for each in listed][1:] == [True, True, False]
    assert listed[1]["sparsity"] == {"zeros": 50, "total": 100}
    assert err == ""


def test_the_pick_stands_in_the_json(folder: Path) -> None:
    out, err = invoke(folder, "--json", "--within", "0.02")
    listed = json.loads(out)
    assert [one["point"] for one in listed if one["shipped"]] == ["magnitude:0.9:0"]
    assert [one["picked"] for one in listed] == [False, False, True, False]
    assert "magnitude at 0.9" in err
    none = json.loads(invoke(folder, "--json", "--min-accuracy", "0.99")[0])
    assert not any(one["picked"] or one["shipped"] for one in none)


def test_points_of_an_earlier_plan_are_named_and_shown(folder: Path) -> None:
    kept = [run for run, _ in MEASURED[:2]]
    with Store.writing(folder) as store:
        store.begin({}, kept)
    out, err = invoke(folder)
    assert "2 finished points of an earlier plan" in err
    assert f"secateur frontier {folder} --all" in err
    assert "l1-filter" not in out
    out, err = invoke(folder, "--all")
    present, _, earlier = out.partition("Of an earlier plan")
    assert "2 finished points" in earlier
    assert ("l1-filter" in present, "l1-filter" in earlier) == (False, True)
    assert not any(line.startswith("*") for line in earlier.splitlines() if "0.9" in line)
    assert "earlier plan" not in err
    listed = json.loads(invoke(folder, "--all", "--json")[0])
    assert [one["earlier"] for one in listed] == [False, False, True, True]
    assert len(RunFolder(folder).earlier_points) == RunFolder(folder).earlier == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (["--x", "sparsty"], SecateurError, "sparsty"),
        (["--x", "test_accuracy"], UsageError, "test"),
        (["--min-accuracy", "90"], UsageError, "a share from 0 to 1"),
        (["--min-accuracy", "nan"], UsageError, "a share from 0 to 1"),
        (["--min-accuracy", "0.9", "--within", "0.1"], UsageError, "Pass one of the two"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, options: list[str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        invoke(folder, *options)


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"a folder without study\.sqlite"):
        invoke(tmp_path)


def test_a_study_without_a_finished_point_says_why(tmp_path: Path) -> None:
    run = MEASURED[0][0]
    with Store.writing(tmp_path) as store:
        store.begin({}, [run])
        store.record_end(store.record_start(run), run, "failed", "out of memory")
    with pytest.raises(StoreError, match=r"without a finished point \(.*out of memory\)"):
        invoke(tmp_path)
    assert invoke(tmp_path, "--json")[0].strip() == "[]"


def test_figures_that_cannot_be_drawn_are_told_and_lose_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UsageError("drawing", "matplotlib", given="absent", expected="it", remedy="Install.")

    monkeypatch.setattr("secateur.cli.frontier.figures", refuse)
    draw(Store(folder))
    assert "No figures: drawing: matplotlib is absent" in capsys.readouterr().err


@pytest.fixture
def ranked(tmp_path: Path, make_point, put) -> Path:
    correct = {"magnitude": 91, "lamp": 88, "random-weight": 40, "l1-filter": 80}
    runs = [(run_of(method, (0.5,), 0), number) for method, number in correct.items()]
    with Store.writing(tmp_path / "run") as store:
        store.begin({}, [run for run, _ in runs])
        for run, number in runs:
            put(store, *make_point(run.method, run.level, number, run.step))
    return tmp_path / "run"


def test_methods_are_ranked_with_their_like(ranked: Path) -> None:
    out, _ = invoke(ranked, "--ranks")
    rows = [line.split() for line in out.splitlines()]
    assert ["magnitude", "1.00", "-"] in rows
    assert ["random-weight", "(control)", "3.00", "-"] in rows
    assert "l1-filter" not in out  # there is nothing like it
    (found,) = json.loads(invoke(ranked, "--ranks", "--json")[0])
    assert [one["method"] for one in found["ranks"]] == ["magnitude", "lamp", "random-weight"]


def test_a_study_with_nothing_to_rank_says_so(folder: Path) -> None:
    with pytest.raises(UsageError, match="without two methods of one kind that share a level"):
        invoke(folder, "--ranks")
    assert invoke(folder, "--ranks", "--json")[0] == "[]\n"
