"""`secateur tune`, in this process."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from secateur.cli.app import app
from secateur.errors import SecateurError, SpecError, UsageError
from secateur.registry import EXECUTORS

from ..study.inline import Inline

pytest.importorskip("optuna")

STUDY = """
name = "small"
model = "lenet-300-100"
data = { name = "shapes", options = { train = 64, val = 20, test = 20, size = 12 } }
executor = "inline"
[training]
base_epochs = 1
retrain_epochs = 0
[methods.magnitude]
[tune.space]
optimizer = ["adam", "sgd"]
"""
PLACE = ("--device", "cpu", "--workers", "1", "--threads", "1")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _registered_for_one_test: None) -> None:
    EXECUTORS.add("inline", Inline)
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(STUDY)


def invoke(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["tune", "small.toml", *PLACE, *arguments])
    if isinstance(done.exception, SecateurError):
        raise done.exception
    return done


def test_it_ends_with_the_table_the_audit_and_where_the_rest_is() -> None:
    done = invoke("--trials", "2")
    assert done.exit_code == 0, done.output
    assert "[2/2] validation accuracy" in done.stderr
    *_, audit, page, study = done.stdout.splitlines()
    assert "2 trials consumed" in audit
    assert page == "Page: runs/small-tuning/report.html"
    assert study == "Study: secateur sweep runs/small-tuning/best.toml"
    assert "Tuning" in Path("runs/small-tuning/report.html").read_text()
    again = invoke("--trials", "2")
    assert again.stderr == ""
    assert audit in again.stdout


def test_json_is_all_that_is_printed() -> None:
    done = invoke("--trials", "1", "--json", "--base-epochs", "2", "--out", "here")
    found = json.loads(done.stdout)
    assert (found["epochs"], found["best"], found["wanted"]) == (2, 0, 1)
    assert found["trials"][0]["own"]


@pytest.mark.parametrize("head", ["[tune.space]", "[space]"])
def test_what_is_searched_may_be_in_a_file_of_its_own(head: str) -> None:
    Path("space.toml").write_text(f"{head}\nlearning_rate = [1e30]\n")
    done = invoke("--trials", "1", "--search", "space.toml")
    assert done.exit_code == 1
    assert "None is done" in done.stdout
    assert "not finite" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--trials", "0"),
        ("--trials", "-3"),
        ("--pruner", "medin"),
        ("--what", "all"),
        ("--search", "nowhere.toml"),
        ("--search", "damaged.toml"),
        ("--search", "unknown.toml"),
        ("--base-epochs", "-1"),
    ],
)
def test_what_cannot_be_is_an_error_with_a_remedy(arguments: tuple[str, ...]) -> None:
    Path("damaged.toml").write_text("[tune")
    Path("unknown.toml").write_text("[tune.space]\nlearning_rat = [1]")
    with pytest.raises(UsageError):
        invoke(*arguments)
    assert not Path("runs").exists()


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Inline, "start", stop)
        done = invoke("--trials", "1")
    assert done.exit_code == 130
    assert "The same command goes on where it was: runs/small-tuning" in done.stderr
    assert "begun 2 times" in invoke("--trials", "1").stdout


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'secateur\[tune\]'"):
        invoke("--trials", "1")


def test_a_range_of_nothing_is_named() -> None:
    Path("space.toml").write_text("[tune.space]\nlearning_rate = { low = 1.0, high = 0.1 }")
    with pytest.raises(SpecError, match=r"space\.toml: tune\.space\.learning_rate.*below `high`"):
        invoke("--search", "space.toml")
