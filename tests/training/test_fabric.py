"""A library that is asked for its version alone is not loaded for it."""

import importlib
import subprocess
import sys

import pytest

from secateur.training.fabric import _unloaded

NAME = "iniconfig"
"""A small installed package; whoever else has loaded it keeps it."""


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, NAME, raising=False)


def test_its_version_is_known_and_it_is_gone_behind_it() -> None:
    with _unloaded(NAME):
        found = importlib.import_module(NAME)
        assert found.__version__ == importlib.metadata.version(NAME)
        assert not hasattr(found, "__file__")
    assert NAME not in sys.modules


def test_whatever_else_is_asked_of_it_loads_it() -> None:
    with _unloaded(NAME):
        from iniconfig import IniConfig
        from iniconfig.exceptions import ParseError
    assert sys.modules[NAME].IniConfig is IniConfig
    assert issubclass(ParseError, Exception)


def test_one_that_is_loaded_stays_and_one_that_is_missing_is_missing() -> None:
    loaded = importlib.import_module(NAME)
    with _unloaded(NAME):
        assert sys.modules[NAME] is loaded
    assert sys.modules[NAME] is loaded
    with _unloaded("no_such_library"), pytest.raises(ImportError):
        importlib.import_module("no_such_library")


def test_training_loads_no_library_of_metrics() -> None:
    code = "import sys, secateur.training.fabric; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
