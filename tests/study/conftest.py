import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from secateur.registry import EXECUTORS

from .faulty_study import TEXT
from .inline import Inline, sweep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def _inline(_registered_for_one_test: None) -> None:
    EXECUTORS.add("inline", Inline)


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study, swept to its end: to be copied, and not to be written to."""
    folder = tmp_path_factory.mktemp("swept") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EXECUTORS, "_own", {**EXECUTORS.own, "inline": Inline})
        sweep(folder)
    return folder


@pytest.fixture
def run_folder(swept: Path, tmp_path: Path, _inline: None) -> Path:
    """A copy of the swept study, which may be damaged and swept again."""
    shutil.copytree(swept, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the network's module, which is the current one."""
    (tmp_path / "faulty.py").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # for what is imported late
    yield tmp_path
    for name in ("faulty", "helper"):
        sys.modules.pop(name, None)
