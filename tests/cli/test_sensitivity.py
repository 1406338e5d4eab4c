from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import secateur.cli.sensitivity  # noqa: F401
from secateur.cli.app import app
from secateur.errors import SecateurError, UsageError
from secateur.foundation.level import parse_level
from secateur.foundation.target import Target

STUDY = """
name = "small"
model = "lenet-300-100"
data = { name = "shapes", options = { train = 64, val = 20, test = 20, size = 12 } }
training = { base_epochs = 1, retrain_epochs = 0 }
[methods.magnitude]
"""


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["sensitivity", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cli")
    (made / "small.toml").write_text(STUDY)
    invoke(made / "small.toml", "--out", made / "run", "--levels", "0.5", "--device", "cpu")
    return made / "run"


def test_of_a_study_the_net_is_trained_and_the_picture_lies_in_its_folder(folder: Path) -> None:
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "sensitivity-magnitude.png",
        "sensitivity-magnitude.svg",
    }


def test_of_a_run_folder_a_table_and_a_level_that_a_study_takes(folder: Path) -> None:
    told = invoke(folder, "--levels", "0.25,0.5", "--within", "1", "--device", "cpu")
    head, *_ = told.splitlines()
    assert head.split() == ["layer", "weights", "0.25", "0.5"]
    line = next(line for line in told.splitlines() if line.startswith("A level of a study: "))
    level = tomllib.loads(f"level = {line.partition(': ')[2]}")["level"]
    (table,) = parse_level(level)
    assert isinstance(table, tuple)
    assert not isinstance(table, Target)
    assert {share for _, share in table} == {0.5}
    assert len(table) == 3


def test_json_is_all_that_is_printed(folder: Path, tmp_path: Path) -> None:
    told = invoke(folder, "--levels", "0.5", "--json", "--total", "0.25", "--device", "cpu")
    values = json.loads(told)
    assert [cut["zeros"]["part"] * 2 == cut["zeros"]["total"] for cut in values["cuts"]]
    assert set(values["sparsities"].values()) == {0.5}
    figure = tmp_path / "own.pdf"
    assert str(figure) in invoke(folder, "--levels", "0.5", "--figure", figure, "--device", "cpu")
    assert figure.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--levels", "a"),
        ("--levels", "1"),
        ("--levels", ""),
        ("--method", "dense"),
        ("--method", "magnitud"),
        ("--seed", "9"),
        ("--figure", "a.gif"),
        ("--within", "0.1", "--total", "0.5"),
        ("--total", "0.99"),
    ],
    ids=" ".join,
)
def test_bad_input_is_refused_in_our_words(folder: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        invoke(folder, *arguments)


def test_neither_a_folder_nor_a_study(tmp_path: Path) -> None:
    with pytest.raises(SecateurError):
        invoke(tmp_path / "none")
