"""What version 0.1 wrote opens today: studies, stores, model files and masks.

`version_0_1/make.py` says how the files were made.
"""

import base64
import gzip
import hashlib
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

import secateur
from secateur.cli import app
from secateur.report.server import LivePage, LiveStudy
from secateur.spec import StudySpec, read_study
from secateur.study import presets
from secateur.study.plan import plan

OLD = Path(__file__).parent / "version_0_1"
FILES = {"kept": OLD / "study.toml", "demo": OLD / "demo.toml"}
"""The demo as version 0.1 had it; today's has another recipe."""


def spec_of(name: str) -> StudySpec:
    return read_study(FILES[name]) if name in FILES else presets.read(name)


def secateur_command(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run folder, and a working folder in which its network can be imported."""
    shutil.copytree(OLD / "run", tmp_path / "run")
    for name in ("tinynet.py", "study.toml"):
        shutil.copy(OLD / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["original", *FILES])
def test_every_run_has_the_name_that_it_had(name: str) -> None:
    known = json.loads((OLD / "digests.json").read_text())[name]
    found = {run.title: run.digest for run in plan(spec_of(name), {"data": "0" * 64})}
    assert found == known


def test_a_run_folder_is_read(folder: Path) -> None:
    points = json.loads(secateur_command("frontier", str(folder), "--json"))
    assert len(points) == 24
    assert {point["method"] for point in points} >= {"magnitude", "slimming", "scratch", "dense"}
    secateur_command("report", str(folder))
    packed = re.search(r"H4sI[A-Za-z0-9+/=]+", (folder / "report.html").read_text())
    assert packed is not None
    assert b"slimming" in gzip.decompress(base64.b64decode(packed[0]))


def test_a_finished_sweep_trains_nothing_anew(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in (folder / "points").iterdir()}
    points = secateur_command("frontier", str(folder), "--json")
    secateur_command("sweep", "study.toml", "--out", str(folder), "--quiet", "--workers", "1")
    assert secateur_command("frontier", str(folder), "--json") == points
    assert {path.name: path.read_bytes() for path in (folder / "points").iterdir()} == before


def test_a_point_is_handed_out(folder: Path) -> None:
    points = json.loads(secateur_command("frontier", str(folder), "--json"))
    point = next(one for one in points if one["method"] == "l1-filter")
    out = folder.parent / "point.safetensors"
    secateur_command(
        *("export", str(folder), "--point", point["digest"], "--study", "study.toml"),
        *("--out", str(out)),
    )
    assert secateur.inspect(out).totals()["parameters"] == point["compact_parameters"]


COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "frontier": (("run", "--x", "bytes", "--at-least", "val_accuracy=0.01"), "magnitude at 0.8"),
    "figure": (("run", "--out", "figure.svg"), "figure.svg"),
    "export-table": (("run", "--to", "csv"), "slimming"),
    "report": (("run",), "report.html"),
    "export": (
        (
            "run",
            "--point",
            "l1-filter:0.8:0",
            "--study",
            "study.toml",
            "--out",
            "point.safetensors",
        ),
        "bytes",
    ),
    "inspect": (("point.safetensors",), "study kept"),
    "bench": (
        ("point.safetensors", "--model", "tinynet:build", "--engines", "torch", "--repeats", "2"),
        "torch",
    ),
    "sensitivity": (("study.toml", "--out", "run", "--levels", "0.5", "--json"), "0.weight"),
    "sweep": (("study.toml", "--out", "run", "--workers", "1"), "frontier"),
    "package": (("run", "--point", "magnitude:0.8:0", "--study", "study.toml"), "bytes"),
    "quantise": (
        ("run", "--point", "magnitude:0.8:0", "--study", "study.toml", "--no-timing"),
        "magnitude+int8",
    ),
    "watch": (("run", "--port", "0"), "Watching run"),
    "doctor": (("--out", "run"), "torch"),
    "methods": (("slimming",), "slimming"),
    "models": ((), "conv4"),
    "data": ((), "shapes"),
    "studies": (("original",), "[methods."),
}
"""What each command is asked, in an order in which files come before their readers; and a word of
what it says."""


NEWER = {"fetch", "tune", "yardsticks"}
"""Those that begin folders of their own: no earlier version has written one for them."""


def test_every_command_is_asked() -> None:
    assert COMMANDS.keys() | NEWER == get_command(app).commands.keys()  # type: ignore[attr-defined]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses of the pages that were watched; none is waited for."""
    statuses: list[int] = []

    def serve(page: LivePage) -> None:
        statuses.append(LiveStudy(page.folder).study().status)

    monkeypatch.setattr(LivePage, "serve", serve)
    return statuses


@pytest.mark.usefixtures("folder")
def test_a_run_folder_opens_in_every_command(served: list[int]) -> None:
    for name, (arguments, word) in COMMANDS.items():
        said = secateur_command(name, *arguments)
        assert word in said, (name, said)
    assert served == [200]


def test_a_checkpoint_that_only_the_store_names_is_not_opened(
    folder: Path, served: list[int]
) -> None:
    """What it names is not there: whoever opened it would fail."""
    name_a_checkpoint(folder / "study.sqlite", "/nowhere/at/all.safetensors")
    for name, (arguments, word) in COMMANDS.items():
        if arguments[:1] == ("run",):
            assert word in secateur_command(name, *arguments)
    assert served == [200]


def name_a_checkpoint(store: Path, path: str) -> None:
    with closing(sqlite3.connect(store)) as opened, opened:
        (text,) = opened.execute("SELECT value FROM facts WHERE name = 'settings'").fetchone()
        settings = {**json.loads(text), "base": {"checkpoint": path}}
        opened.execute(
            "UPDATE facts SET value = ? WHERE name = 'settings'", (json.dumps(settings),)
        )


@pytest.mark.parametrize("kind", ["compact", "masked"])
def test_a_model_file_computes_what_it_did(kind: str, folder: Path) -> None:
    import tinynet  # type: ignore[import-not-found]

    outputs = torch.load(OLD / "outputs.pt", weights_only=True)
    model = secateur.load(OLD / f"{kind}.safetensors", tinynet.build)
    assert torch.allclose(model(outputs["input"]), outputs[kind], atol=1e-6)
    secateur_command("inspect", str(OLD / f"{kind}.safetensors"))


def test_masks_are_read_as_data() -> None:
    masks = torch.load(OLD / "masks.pt", weights_only=True)
    assert (masks.zeros, masks.total) == (1037, 1152)


def test_the_files_are_those_that_were_made() -> None:
    made = hashlib.sha256()
    for path in sorted(one for one in OLD.rglob("*") if one.suffix in {".safetensors", ".sqlite"}):
        made.update(path.relative_to(OLD).as_posix().encode() + path.read_bytes())
    assert made.hexdigest() == "4fec306b756ff00bf0b702f37a86d94ce21d00096d3601ade89a3019c8e8796f"
