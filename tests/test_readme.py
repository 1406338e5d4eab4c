"""The README says what is: its commands exist, its files are there, its Python runs."""

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import secateur
from secateur.cli import app
from secateur.point import Point
from secateur.registry import ALL, EXECUTORS, METHODS
from secateur.spec import check_study

from .study.inline import Inline

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


def test_its_first_lines_say_what_is_gained():
    first = "\n".join(README.splitlines()[:10])
    assert re.search(r"\d+ times smaller for [\d.]+ points", first)
    assert re.search(r"\d+ times faster", first)


def test_its_first_two_screens_come_before_the_guide():
    before = README[: re.search(r"\]\(docs/[\w/-]+\.md\)", README).start()]
    assert before.count("\n") < 100
    assert all(part in before for part in ("make demo", "```python", "![", "Torch-Pruning"))


COMPARED = re.findall(r"^\| ([^|]+) \|(.*)\| \[\w+\]\((benchmarks/\S+\.md)\) \|$", README, re.M)


@pytest.mark.parametrize(("row", "cells", "file"), COMPARED)
def test_every_figure_beside_others_stands_in_its_benchmark(row, cells, file):
    measured = (ROOT / file).read_text(encoding="utf-8")
    figures = re.findall(r"(?<!\w)\d[\d,.]*(?<![,.])", row + cells)
    assert len(COMPARED) > 3
    assert len(figures) > 1
    found = [re.search(rf"(?<![\d.,]){re.escape(one)}(?!\d)", measured) for one in figures]
    assert None not in found, dict(zip(figures, found, strict=True))


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


# What the README's and the guide's commands work on: small enough to be swept while one waits.
STAND_IN = """
name = "NAME"
model = "lenet-5"
data = { name = "npz", options = { path = "images.npz", classes = 10 } }
levels = [0.5]

[training]
base_epochs = 1
retrain_epochs = 1

[methods.l1-filter]
[methods.dense]
"""
# A point that the pages name, of which only the demo needs to have one.
MORE = """
[methods.magnitude]
levels = [0.9]
"""
# The net that is trained already, of its page in the guide.
TRAINED = dict(
    re.findall(
        r":caption: (\S+)\n:name: \S+\n\n(.*?)^```$",
        (ROOT / "docs" / "trained-net.md").read_text(encoding="utf-8"),
        re.S | re.M,
    )
)
MADE_BEFORE = ("secateur sweep", "secateur sweep mine.toml")
# Commands that need what a test machine may not have, or that end only with Ctrl-C.
NOT_RUN = ("secateur watch", "secateur sweep study.toml --track")
NEEDS = {".onnx": "onnxruntime", "onnx": "onnxruntime", ".parquet": "pyarrow"}
PAGES = {"README.md": README}
PAGES |= {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("start.md", "pictures.md")
}


def commands_of(page: str) -> list[str]:
    """The lines that call secateur, without remarks and pipes, in order."""
    lines = re.findall(r"^(?:    |\$ )(secateur .*)$", PAGES[page], re.M)
    return [re.split(r"\s+(?:#|\|)", line)[0].strip() for line in lines]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images, `study.toml`, and the stand-in for the embedded study."""
    folder = tmp_path_factory.mktemp("readme")
    rng = numpy.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 60), ("val", 20), ("test", 20)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (count, 28, 28), dtype=numpy.uint8)
        arrays[f"y_{part}"] = numpy.arange(count) % 10
    numpy.savez(folder / "images.npz", **arrays)
    (folder / "study.toml").write_text(STAND_IN.replace("NAME", "mine"))
    (folder / "demo.toml").write_text(STAND_IN.replace("NAME", "demo") + MORE)
    for name, text in TRAINED.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def swept(place):
    """The same folder after `secateur sweep`, which is every page's first command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        patch.delitem(sys.modules, "mynets", raising=False)
        # In this process: what a worker does is tested elsewhere.
        patch.setitem(EXECUTORS._loaded, "local", Inline)
        for registry in ALL:
            patch.setattr(registry, "_own", dict(registry.own))
        patch.chdir(place)
        exec(TRAINED["train.py"], {})
        for line in MADE_BEFORE:
            call(patch, place, line)
    return place


def call(patch, folder: Path, line: str) -> str:
    """Give one command as written, with the stand-in for the embedded study."""
    patch.chdir(folder)
    # Nets that trained for one epoch do no better than a guess: here that is no matter.
    patch.setattr(Point, "collapsed", None)
    patch.setattr("secateur.study.presets._file", lambda name: folder / f"{name}.toml")
    result = CliRunner().invoke(app, shlex.split(line)[1:], env={"COLUMNS": "200"})
    assert result.exit_code == 0, f"{line}: {result.output} {result.exception!r}"
    return result.output


@pytest.mark.parametrize("page", PAGES)
def test_commands_run_as_written(page, swept, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    shutil.copytree(swept, folder)
    lines = [line for line in commands_of(page) if not line.startswith(NOT_RUN)]
    assert len(lines) > 4
    for line in lines:
        if any(line.endswith(mark) and not find_spec(name) for mark, name in NEEDS.items()):
            continue
        if line in MADE_BEFORE:
            continue
        if line.startswith("secateur sweep"):
            # Another study in a folder of its own: the pages do not mean one after another.
            other = tmp_path / str(len(list(tmp_path.iterdir())))
            shutil.copytree(swept, other, ignore=shutil.ignore_patterns("runs"))
            assert "frontier" in call(monkeypatch, other, line)
        else:
            call(monkeypatch, folder, line)
    if page == "start.md":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(re.findall(r"```python\n(.*?)```", PAGES[page], re.S)[0], {})
        assert "torch.Size([1, 10])" in printed.getvalue()


def test_a_command_that_fails_is_noticed(swept, monkeypatch):
    with pytest.raises(AssertionError, match="no-such-run"):
        call(monkeypatch, swept, "secateur frontier runs/no-such-run")
