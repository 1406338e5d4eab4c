import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from secateur.cli import app, checkup, doctor
from secateur.cli.checkup import Finding


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["doctor", *arguments], catch_exceptions=False)


def test_this_machine_is_usable_and_says_so(tmp_path: Path) -> None:
    done = invoke("--out", str(tmp_path))
    assert done.exit_code == 0, done.stdout
    assert done.stdout.endswith("Usable.\n")
    for section in ("versions:", "extras:", "devices:", "native:", "data:", "folder:"):
        assert section in done.stdout.splitlines()
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_json_holds_every_finding(tmp_path: Path) -> None:
    done = invoke("--json", "--out", str(tmp_path))
    found = json.loads(done.stdout)
    assert found["usable"] is True
    names = {each["name"]: each for each in found["findings"]}
    assert names["writable"]["value"] == str(tmp_path)
    assert {"secateur", "python", "torch", "cpu", "sparse kernels"} <= names.keys()
    assert {each["state"] for each in found["findings"]} <= {"ok", "missing"}


def test_what_is_broken_is_marked_with_its_remedy_and_exit_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    findings = [
        Finding("versions", "torch", "not installed", "broken", "pip install torch"),
        Finding("extras", "onnx", "not installed", "missing", "pip install 'secateur[export]'"),
        Finding("data", "cache", "/cache", "ok", "not to be said"),
    ]
    monkeypatch.setattr(doctor, "checkup", lambda _: findings)
    done = invoke()
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "versions:",
        "! torch  not installed",
        "         pip install torch",
        "extras:",
        "- onnx   not installed",
        "         pip install 'secateur[export]'",
        "data:",
        "  cache  /cache",
        "",
        "- can be done without   ! is needed",
        "Broken: torch",
    ]
    told = invoke("--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["usable"] is False


def test_a_folder_that_cannot_be_written_is_exit_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkup.tempfile, "TemporaryFile", refuse)
    done = invoke("--out", str(tmp_path / "runs"))
    assert done.exit_code == 1
    assert "Permission denied" in done.stdout
    assert "--out" in done.stdout
