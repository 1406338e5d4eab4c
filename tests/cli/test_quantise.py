"""`secateur quantise`: INT8 points in table, JSON, CSV, page and picks."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from secateur.report.page.values import values
from secateur.study.int8_points import int8_points
from secateur.study.store import Store

Command = Callable[..., tuple[int, str, str]]
NAMED = ("--point", "dense:-:0", "--point", "magnitude:0.7")


@pytest.fixture
def run(undisturbed: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run that all tests of commands read: points are added to it."""
    folder = shutil.copytree(undisturbed.folder, tmp_path / "copy")
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "tiny", raising=False)
    return folder / "run"


def test_int8_points_are_shown_and_taken_wherever_points_are(run: Path, command: Command) -> None:
    code, quantised, err = command(
        "quantise", str(run), *NAMED, "--study", "tiny.toml", "--no-timing", "--no-figures"
    )
    assert code == 0, err
    assert "magnitude+int8" in quantised
    assert "dense+int8" in quantised
    assert "hypervolume" not in quantised.partition("magnitude+int8")[0].lower()
    found = json.loads(command("frontier", str(run), "--json")[1])
    assert {"dense+int8", "magnitude+int8"} <= {one["method"] for one in found}
    assert "magnitude+int8" in command("export-table", str(run), "--to", "csv")[1]
    shown = values(Store(run))
    made = next(one for one in shown["points"] if one["method"] == "magnitude+int8")
    assert made["export"].endswith("--point magnitude+int8:0.7:0 --model tiny:net")
    assert shown["trainings"][made["id"]]
    assert not any("int8" in json.dumps(one) for one in shown["rankings"])
    (point,) = (p.point for p in int8_points(Store(run)) if p.point.method == "magnitude+int8")
    assert (run / "exports" / "magnitude-0.7-0-int8.onnx").stat().st_size == point.artifact_bytes
    name = ("--point", "magnitude+int8:0.7")
    own = ("--study", "tiny.toml", "--no-timing")
    code, said, err = command("export", str(run), *name, *own, "--out", "again.onnx")
    assert code == 0, err
    assert "INT8" in said
    assert Path("again.onnx").exists()
    code, said, err = command(
        *shlex.split(made["export"])[1:], "--no-timing", "--out", "shown.onnx"
    )
    assert code == 0, err
    for words, options in (
        ("an ONNX file", ("export", str(run), *name, "--to", "pt2")),
        ("one in float32", ("package", str(run), *name)),
    ):
        code, _, err = command(*options)
        assert code == 2
        assert words in err


def test_what_is_asked_for_twice_or_by_a_foreign_word_is_refused(
    run: Path, command: Command
) -> None:
    code, _, err = command("quantise", str(run), "--all", "--point", "dense")
    assert code == 2
    assert "said twice" in err
    code, _, err = command("quantise", str(run))
    assert code == 2
    assert "Pass the study file that was swept with --study" in err
