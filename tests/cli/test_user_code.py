"""Commands that meet code of the user's own that ends the process or raises: told in one line."""

import sys
from pathlib import Path

import pytest

from secateur.cli import main

STUDY = """
model = "acting:net"
data = { name = "shapes", options = { train = 20, val = 4, test = 4, size = 8 } }
training = { base_epochs = 1 }
[methods.dense]
"""
NET = """
import sys
from torch import nn
def net(shape, classes):
    {}
    return nn.Sequential(nn.Flatten(), nn.Linear(192, classes))
"""


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> object:
    def run(act: str, *arguments: str) -> tuple[object, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delitem(sys.modules, "acting", raising=False)
        Path("acting.py").write_text(NET.format(act))
        Path("study.toml").write_text(STUDY)
        monkeypatch.setattr(sys, "argv", ["secateur", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        assert out == ""
        assert "Traceback" not in err
        return exit_.value.code, err

    yield run
    sys.modules.pop("acting", None)


@pytest.mark.parametrize("code", ["0", "", "7", "'bye'"])
def test_a_model_that_ends_the_process_is_not_success(said: object, code: str) -> None:
    code_, err = said(f"sys.exit({code})", "sweep", "study.toml")  # type: ignore[operator]
    assert code_ == 2
    assert "the model, the data or the loop (acting.py, line 5) is ending the process" in err
    assert not Path("runs").exists()


def test_ctrl_c_of_a_model_s_own_is_a_stop(said: object) -> None:
    code, err = said("raise KeyboardInterrupt", "sweep", "study.toml")  # type: ignore[operator]
    assert (code, "The same command goes on" in err) == (130, True)


@pytest.mark.parametrize("act", ["sys.exit(0)", "raise ValueError('no')", "raise Exception"])
def test_code_that_a_study_names_is_told_wherever_it_is_called(
    said: object, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method of one's own is imported as the file is read."""
    monkeypatch.setattr(sys.modules[__name__], "NET", "import sys\n{}\n")
    monkeypatch.setattr(sys.modules[__name__], "STUDY", '[methods."acting:method"]\n')
    code, err = said(act, "sweep", "study.toml")  # type: ignore[operator]
    assert code in (1, 2)
    assert "acting" in err


def test_what_lies_beside_a_users_file_is_found_when_it_is_asked_for(
    said: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the data are made: an installed command does not look in the current folder by itself."""
    (tmp_path / "beside.py").write_text("raise ValueError('was found')\n")
    study = STUDY.replace('"shapes"', '"acting:data"').partition(", options")[0] + " }\n"
    monkeypatch.setattr(sys.modules[__name__], "STUDY", study + "[methods.dense]\n")
    monkeypatch.setattr(sys.modules[__name__], "NET", "def data():\n    import beside\nnet = {}\n")
    code, err = said("data", "sweep", "study.toml")  # type: ignore[operator]
    assert code == 2
    assert "was found" in err
