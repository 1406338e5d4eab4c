"""The README says what is: its commands exist, its files are there, its Python runs."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import secateur
from secateur.cli import app
from secateur.registry import METHODS
from secateur.spec import check_study

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

COMMANDS = sorted(set(re.findall(r"^    secateur ([a-z-]+)", README, re.M)))
OPTIONS = sorted(set(re.findall(r"^    secateur ([a-z-]+) .*?(--[a-z-]+)", README, re.M)))
TARGETS = re.findall(r"^    make ([a-z]+)", README, re.M)


def block(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)[0]


def test_it_opens_with_the_two_commands():
    assert TARGETS[:2] == ["demo", "test"]


@pytest.mark.parametrize("target", TARGETS)
def test_targets_are_in_the_makefile(target):
    plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)
    assert plan.stdout


def test_ci_runs_the_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command):
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_options_exist(command, option):
    assert option in CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output


def test_the_study_file_is_a_study():
    study = check_study(tomllib.loads(block("toml")), "README.md")
    assert study.levels_of("combined") == ((0.3, 0.9), (0.5, 0.95))


def test_every_method_is_in_the_table():
    assert all(f"`{name}`" in README for name in METHODS)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_pruning_as_written(tmp_path, monkeypatch):
    """The first half of the Python block; the second is a sweep, tested with the study."""
    monkeypatch.chdir(tmp_path)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 4))
    names = {
        "secateur": secateur,
        "model": net,
        "optimizer": torch.optim.Adam(net.parameters()),
        "x": torch.randn(2, 1, 6, 6),
    }
    exec(block("python").split("if __name__")[0], names)
    # At most half: filters that magnitude pruning has emptied go as well.
    assert names["small"][0].out_channels <= 4
    sweep = block("python").split("secateur.sweep(")[1]
    for option in re.findall(r"(\w+)=\[?[\d\"]", sweep):
        assert option in {"methods", "levels", "seeds", "base_epochs", "retrain_epochs", "within"}
