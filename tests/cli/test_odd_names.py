"""Names that are no names: of studies, methods, options and run folders; one line, exit 2."""

import os
import sys
from pathlib import Path

import pytest

import secateur
from secateur.cli import main
from secateur.errors import StoreError

SMALL = """
model = "lenet-300-100"
data = { name = "shapes", options = { train = 20, val = 4, test = 4, size = 8 } }
[methods.dense]
"""
ODD = ("../x", "/etc/x", "a\nb", "x" * 300, "", ".", "..", "näme", "a b", "a/b", "\x1b[31m")


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    monkeypatch.setattr(sys, "argv", ["secateur", "sweep", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    out, err = capsys.readouterr()
    assert (exit_.value.code, out) == (2, "")
    assert "Traceback" not in err
    assert "\x1b" not in err
    return err


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ODD)
def test_a_name_of_a_study_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    quoted = name.replace("\n", "\\n").replace("\x1b", "\\u001b")
    Path("study.toml").write_text(f'name = "{quoted}"\n[methods.dense]\n')
    assert "name" in refused(monkeypatch, capsys, "study.toml")
    assert os.listdir() == ["study.toml"]


@pytest.mark.parametrize("name", ODD)
def test_a_method_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    quoted = name.replace("\n", "\\n").replace("\x1b", "\\u001b")
    Path("study.toml").write_text(f'[methods."{quoted}"]\n')
    refused(monkeypatch, capsys, "study.toml")
    assert os.listdir() == ["study.toml"]
    if name:
        refused(monkeypatch, capsys, "--methods", name)


@pytest.mark.parametrize("name", ["x" * 300, "study.toml/run", "/dev/null", "/proc/1/run"])
def test_a_run_folder_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Path("study.toml").write_text(SMALL)
    refused(monkeypatch, capsys, "study.toml", "--out", name)
    assert os.listdir() == ["study.toml"]


def test_a_run_folder_with_a_nul(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="null"):
        secateur.sweep("lenet-300-100", "shapes", methods=["dense"], out="a\0b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf"])
def test_a_timeout_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], timeout: str
) -> None:
    Path("study.toml").write_text("[methods.dense]\n")
    assert "timeout" in refused(monkeypatch, capsys, "study.toml", f"--timeout={timeout}")
    assert os.listdir() == ["study.toml"]
