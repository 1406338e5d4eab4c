import subprocess
import sys
from functools import partial
from importlib.metadata import version
from operator import truediv

import pytest

from secateur import cli
from secateur.errors import SpecError, TrainingError

WORDS = {"given": "2", "expected": "1", "remedy": "Mend it."}


@pytest.mark.parametrize(("error", "code"), [(SpecError, 2), (TrainingError, 1)])
def test_an_expected_error_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[SpecError] | type[TrainingError],
    code: int,
) -> None:
    def fail() -> None:
        raise error("doing", "this", **WORDS)

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == code
    assert capsys.readouterr() == ("", "secateur: doing: this is 2, expected 1. Mend it.\n")


def test_a_current_folder_that_is_gone_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone() -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("os.getcwd", gone)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    assert "the current folder is gone" in capsys.readouterr().err


def test_an_error_nobody_expected_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    # No line of a file of the user's own has any part in it.
    monkeypatch.setattr(cli, "app", partial(truediv, 1, 0))
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--version"], 0, f"secateur {version('secateur')}\n"),
        (["--help"], 0, "frontier"),
        (["sweep", "--help"], 0, "--retrain-epochs"),
        ([], 2, "Usage"),
        (["swep"], 2, "swep"),
        (["sweep", "--epochs", "3"], 2, "--epochs"),
        (["sweep", "--base-epochs", "many"], 2, "--base-epochs"),
        (["sweep", "--workers", "0"], 2, "--workers"),
    ],
)
def test_the_command_line_itself(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    word: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["secateur", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == code
    out, err = capsys.readouterr()
    assert word in out + err
    assert "Traceback" not in err


def test_the_command_answers_without_torch_or_matplotlib() -> None:
    """Loading torch takes seconds, in which a typing error is not told and Ctrl-C not heard."""
    code = (
        "import sys; from secateur.cli import main; sys.argv = ['secateur', 'methods']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit(sorted({'torch', 'matplotlib', 'scipy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "magnitude" in done.stdout
