"""A process apart: bounded in time and memory, and what it had written counts."""

import sys
import time
from pathlib import Path

import pytest

from secateur.artifact.apart import ApartError, run_apart


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "made_apart"


def written(tmp_path: Path, code: str) -> None:
    (tmp_path / "made_apart.py").write_text(code)


def test_what_it_writes_comes_back(tmp_path: Path, module: str) -> None:
    written(tmp_path, "import sys; print(sys.argv[1:])")
    assert run_apart(module, ["a b", "-x"], seconds=60) == b"['a b', '-x']\n"


def test_one_that_does_not_end_is_ended(tmp_path: Path, module: str) -> None:
    written(tmp_path, "while True: pass")
    begun = time.monotonic()
    with pytest.raises(ApartError, match="not done after 1 seconds"):
        run_apart(module, [], seconds=1)
    assert time.monotonic() - begun < 30
    written(tmp_path, "import time; print('first', flush=True); time.sleep(600)")
    assert run_apart(module, [], seconds=10) == b"first\n"


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on memory is Linux's")
def test_one_that_takes_too_much_memory_fails_and_not_the_machine(
    tmp_path: Path, module: str
) -> None:
    held = "from secateur.artifact.apart import bound_memory; bound_memory(1 << 28)"
    written(tmp_path, f"{held}; print('begun', flush=True); bytes(1 << 30); print('taken')")
    assert run_apart(module, [], seconds=60) == b"begun\n"


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux counts it")
def test_one_that_computes_too_long_is_ended_and_what_it_had_written_counts(
    tmp_path: Path, module: str
) -> None:
    held = "from secateur.artifact.apart import bound_work; bound_work(1)"
    written(tmp_path, f"{held}; print('begun', flush=True); 3 ** (1 << 40)\nprint('done')")
    assert run_apart(module, [], seconds=600) == b"begun\n"


def test_one_that_dies_is_told(tmp_path: Path, module: str) -> None:
    written(tmp_path, "import os; os.abort()")
    with pytest.raises(ApartError, match="ended with"):
        run_apart(module, [], seconds=60)
