"""`secateur yardsticks`, in this process and on nets that are no larger than they must be."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from secateur.cli.app import app
from secateur.errors import SecateurError, UsageError
from secateur.registry import EXECUTORS
from secateur.spec import StudySpec, check_study
from secateur.yardsticks import sweeps

from ..study.inline import Inline

PLACE = ("--device", "cpu", "--workers", "1", "--threads", "1")
DATA = {"name": "shapes", "options": {"train": 32, "val": 20, "test": 20, "size": 12}}


def tiny(name: str, data: str, size: str) -> dict[str, StudySpec]:
    """A study as large as a test may be, with the level that one yardstick reads."""
    values = {
        "name": f"yardstick-{name}", "model": "lenet-300-100", "data": DATA, "executor": "inline",
        "training": {"base_epochs": 1, "retrain_epochs": 1, "budget": "total"},
        "methods": {"magnitude": {"levels": [0.917], "schedule": "one-shot"}, "dense": {}},
    }  # fmt: skip
    return {"": check_study(values, "a test")}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _registered_for_one_test: None) -> None:
    EXECUTORS.add("inline", Inline)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweeps, "specs", tiny)


def invoke(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["yardsticks", *PLACE, *arguments])
    if isinstance(done.exception, SecateurError):
        raise done.exception
    return done


def test_it_prints_what_is_published_beside_ours_and_keeps_it() -> None:
    done = invoke("--only", "han-lenet-300-100,bytes-lenet-300-100")
    assert done.exit_code == 0, done.output
    assert "Han et al. 2015, arXiv 1506.02626, table 1" in done.stdout
    assert "of 2 passed" in done.stdout
    assert "lenet-300-100 on fashion-mini (train 6000), 12 + 12 epochs in all" in done.stdout
    assert done.stderr.startswith("lenet-300-100:")
    kept = Path("runs/yardsticks-fashion-mini-small/yardsticks.json")
    found = json.loads(kept.read_text())
    assert [one["value"] for one in found["yardsticks"]] == [-0.05, 40]
    assert found["environment"]["torch"]
    again = invoke("--only", "han-lenet-300-100,bytes-lenet-300-100", "--json", "--quiet")
    assert again.stderr == ""
    assert json.loads(again.stdout)["yardsticks"] == found["yardsticks"]


def test_what_was_not_measured_is_told_and_no_success() -> None:
    done = invoke("--only", "snip-lenet-300-100-95", "--quiet")
    assert done.exit_code == 1
    assert "missing" in done.stdout
    assert "0 of 1 passed" in done.stdout


@pytest.mark.parametrize("wrong", [("--only", "han"), ("--data", "shapes")])
def test_what_cannot_be_is_an_error_before_anything_is_made(wrong: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        invoke(*wrong)
    assert not Path("runs").exists()


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Inline, "start", stop)
    done = invoke("--only", "han-lenet-5")
    assert done.exit_code == 130
    assert "runs/yardsticks-fashion-mini-small" in done.stderr
