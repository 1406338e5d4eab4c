import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer

from secateur.artifact.bench import ENGINES
from secateur.cli import names
from secateur.pruning.method import ALL, FAMILIES
from secateur.registry import DATASETS, METHODS, MODELS
from secateur.study import presets
from secateur.study.store import Store


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("mag", ["magnitude"]),
        ("random", ["random-weight", "random-filter", "random-combined"]),
        ("magnitude,l1", ["magnitude,l1-filter"]),
        (
            "random-weight,random",
            ["random-weight,random-filter", "random-weight,random-combined"],  # not the same again
        ),
        ("dense,all-w", ["dense,all-weights"]),
        ("nothing", []),
    ],
)
def test_methods_are_completed_one_after_the_other(typed: str, offered: list[str]) -> None:
    assert names.methods(typed) == offered


def test_everything_is_offered_where_nothing_is_typed() -> None:
    assert names.methods("") == [*METHODS, *(ALL + family for family in FAMILIES)]
    assert names.models("") == list(MODELS)
    assert names.data_sets("") == list(DATASETS)
    assert names.study_names("") == presets.names()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("runs/demo", "runs/mine", "mine", "other/deep"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "study.sqlite").touch()
    (tmp_path / "runs" / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", ["mine", "runs/demo", "runs/mine"]),
        ("ru", ["runs/demo", "runs/mine"]),
        ("runs/d", ["runs/demo"]),
        ("mi", ["mine"]),
        ("other/", ["other/deep"]),
        ("nowhere/x", []),
    ],
)
def test_run_folders(here: Path, typed: str, offered: list[str]) -> None:
    assert names.run_folders(typed) == offered
    whole = f"{here}/{typed}"
    if "/" in typed:
        assert names.run_folders(whole) == [f"{here}/{each}" for each in offered]


def completed(shell: str, line: str) -> str:
    """What the command answers to the shell's script."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "_SECATEUR_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    command = [str(Path(sys.executable).with_name("secateur"))]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    ).stdout


@pytest.mark.parametrize(
    ("shell", "line", "word"),
    [
        ("bash", "secateur fron", "frontier"),
        ("bash", "secateur sweep --methods magnitude,l1", "magnitude,l1-filter"),
        ("zsh", "secateur sweep --base", "--base-epochs"),
        ("fish", "secateur export runs/d", "runs/demo"),
    ],
)
def test_the_shells_get_their_words(here: Path, shell: str, line: str, word: str) -> None:
    assert word in completed(shell, line)


BASH = """
eval "$(secateur --show-completion 2>/dev/null)"
COMP_WORDS=(secateur watch runs/de) COMP_CWORD=2
complete_with=$(complete -p secateur | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$complete_with secateur
echo "${COMPREPLY[@]}"
"""


def test_the_script_for_bash_completes_in_bash(here: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [bash, "--norc", "-c", BASH], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("runs/demo\n", "")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("magn", "magnitude:0.5:0 magnitude:0.9:0"),
        ("magnitude :", "0.5:0 0.9:0"),
        ("magnitude : 0.9", "0.9:0"),
        ("magnitude : 0.9 :", "0"),
    ],
)
def test_bash_completes_a_point_behind_its_colons(
    tmp_path: Path, make_point, put, words: str, answer: str
) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    two_levels(tmp_path / "run", make_point, put)
    typed = f"secateur export {tmp_path}/run --point {words}"
    script = BASH.replace("secateur watch runs/de", typed)
    script = script.replace("COMP_CWORD=2", f"COMP_CWORD={len(typed.split()) - 1}")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [bash, "--norc", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{answer}\n", "")


def test_an_axis_is_completed_behind_a_run_folder(tmp_path: Path, make_point, put) -> None:
    two_levels(tmp_path / "run", make_point, put)
    assert completed("bash", f"secateur export {tmp_path}/run --x byt").split() == ["bytes"]


def two_levels(folder: Path, make_point, put) -> None:
    with Store.writing(folder) as store:
        made = [make_point("magnitude", (0.5,), 90), make_point("magnitude", (0.9,), 90, 1)]
        store.begin({}, [run for run, _ in made])
        for run, point in made:
            put(store, run, point)


def test_points_of_the_run_folder_that_was_typed(tmp_path: Path, make_point, put) -> None:
    two_levels(tmp_path, make_point, put)
    context = typer.Context(click.Command("export"))
    assert names.points(context, "") == []
    context.params["run"] = str(tmp_path)
    assert names.points(context, "mag") == ["magnitude:0.5:0", "magnitude:0.9:0"]
    assert names.points(context, "magnitude:0.9") == ["magnitude:0.9:0"]
    context.params["run"] = str(tmp_path / "none")
    assert names.points(context, "") == []


def test_axes_and_scores_are_those_of_the_study(tmp_path: Path, make_point, put) -> None:
    two_levels(tmp_path, make_point, put)
    context = typer.Context(click.Command("figure"))
    context.params["run"] = str(tmp_path)
    assert names.scores(context, "") == ["val_accuracy", "test_accuracy"]
    assert {"bytes", "latency", "val_accuracy"} <= set(names.axes(context, ""))
    assert "test_accuracy" not in names.axes(context, "")
    assert names.bounds(context, "lat") == ["latency=", "latency_64="]


def test_engines_are_completed_one_after_the_other() -> None:
    assert names.engines("") == list(ENGINES)
    assert names.engines("torch,onn") == ["torch,onnxruntime"]
    assert names.engines("torch,tor") == []
