"""The main road, followed to the letter: from one's own weights to the file that is shipped."""

import re
import shlex
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secateur.cli import app
from secateur.registry import EXECUTORS

from .study.inline import Inline

PAGE = (Path(__file__).parents[1] / "docs" / "trained-net.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r":caption: (\S+)\n:name: \S+\n\n(.*?)^```$", PAGE, re.S | re.M))
COMMANDS = re.findall(r"^\$ (secateur .*)$", PAGE, re.M)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the page's files, and the weights that its own training made."""
    folder = tmp_path_factory.mktemp("trained")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.delitem(sys.modules, "mynets", raising=False)
        # In this process: what a worker does is tested elsewhere.
        patch.setitem(EXECUTORS._loaded, "local", Inline)
        exec(FILES["train.py"], {})
        yield folder


def said(line: str) -> str:
    done = CliRunner().invoke(app, shlex.split(line)[1:], env={"COLUMNS": "200"})
    assert done.exit_code == 0, f"{line}: {done.output} {done.exception!r}"
    return done.output


def test_it_is_short() -> None:
    assert len(COMMANDS) <= 10
    code = [line for line in FILES["all.py"].splitlines() if line and not line.startswith("import")]
    assert len(code) <= 15


@pytest.mark.skipif(not find_spec("onnxruntime"), reason="needs secateur[export]")
def test_the_shell_and_the_script(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {line: said(line) for line in COMMANDS if not line.endswith(("--all", "--batch"))}
    (pick,) = re.findall(r"^Pick for .*: (.*?): sparsity", told[COMMANDS[1]], re.M)
    assert pick.split(" at ")[0] in told[COMMANDS[2]]
    assert (here / "small.onnx").exists()
    assert "mynets:build" in told["secateur inspect small.safetensors"]
    assert "times faster" in told["secateur bench small.safetensors --model mynets:build"]
    # From here on neither the data nor the weights are needed.
    (here / "weights.pt").rename(here / "gone.pt")
    try:
        exec(FILES["use.py"], {})
        said("secateur export runs/mine --point l1-filter:.5 --study mine.toml")
    finally:
        (here / "gone.pt").rename(here / "weights.pt")
    assert "torch.Size([1, 4])" in capsys.readouterr().out


@pytest.mark.skipif(not find_spec("onnxruntime"), reason="needs secateur[export]")
def test_all_of_it_in_python(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(FILES["all.py"], {"__name__": "__main__"})
    assert "Pick for a validation accuracy" in capsys.readouterr().out
    assert (here / "small.onnx").exists()
    assert (here / "tiny.safetensors").exists()
