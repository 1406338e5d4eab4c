import importlib
import sys
from pathlib import Path

import pytest

from secateur.errors import UsageError
from secateur.study import local_modules as module
from secateur.study.local_modules import local_modules


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sentnets").mkdir()
    (tmp_path / "sentnets" / "__init__.py").write_text("")
    (tmp_path / "sentnets" / "later.py").write_text("LATER = 1\n")
    (tmp_path / "sentalone.py").write_text("ALONE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("sentnets", "sentalone"):
        monkeypatch.setitem(sys.modules, name, importlib.import_module(name))
    return tmp_path


def test_a_package_comes_whole_and_a_module_alone(package: Path) -> None:
    found = local_modules()
    assert found["sentnets/later.py"] == b"LATER = 1\n"
    assert found["sentalone.py"] == b"ALONE = 1\n"
    assert {"sentnets/__init__.py"} <= set(found)


def test_what_is_installed_stays(package: Path) -> None:
    tops = {path.partition("/")[0] for path in local_modules()}
    assert not tops & {"torch", "numpy", "secateur", "json"}


def test_too_much_is_refused(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 3)
    with pytest.raises(UsageError, match="expected 3 at most"):
        local_modules()
