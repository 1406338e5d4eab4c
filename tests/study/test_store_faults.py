"""Whatever breaks a writer, at whichever of its writes: nothing is lost, doubled or left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
DIGESTS = ["a" * 20, "b" * 20]
NAMES = [".lock", "points", *(f"points/{name}.safetensors" for name in DIGESTS), "study.sqlite"]
REFUSED = 3 << 8  # the exit status of a writer that ended with a named error


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler or sys.platform != "linux":
        pytest.skip("breaking a process at its writes takes Linux and a C compiler")
    made = tmp_path_factory.mktemp("shim") / "faults.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-w", str(HERE / "faults.c"), "-o", str(made)]
    subprocess.run([*command, "-ldl"], check=True)
    return made


@pytest.fixture
def place() -> Iterator[Path]:
    """In memory where there is such a place: hundreds of writers sync there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made)


@pytest.fixture
def broken(shim: Path, place: Path) -> Callable[..., list[dict[str, Any]]]:
    def broken(fault: str, step: int = 1) -> list[dict[str, Any]]:
        command = [sys.executable, str(HERE / "fault_driver.py"), str(place), fault, str(step)]
        environment = {**os.environ, "LD_PRELOAD": str(shim)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    return broken


def check(found: dict[str, Any]) -> None:
    """What was finished stays so, nothing is done twice, and the folder is as without a fault."""
    before = found["broken"]
    assert before["finished"] == before["done"], found
    assert set(before["states"]) <= {"sound"}, found
    assert found["again"] == 0, found
    assert found["finished"] == found["done"] == DIGESTS, found
    assert found["names"] == NAMES, found


@pytest.mark.parametrize(("fault", "step", "writes"), [("killed", 1, 100), ("torn", 4, 25)])
def test_a_writer_may_be_killed_at_each_of_its_writes(
    broken: Callable[..., list[dict[str, Any]]], fault: str, step: int, writes: int
) -> None:
    told = broken(fault, step)
    assert len(told) > writes
    for found in told:
        check(found)
    assert {found["status"] for found in told} == {signal.SIGKILL}
    # From none to all: the writes lie before, between and behind the runs.
    assert {len(found["broken"]["finished"]) for found in told} >= {0, 1}


def test_an_error_that_passes_is_outlived_at_each_write(
    broken: Callable[..., list[dict[str, Any]]],
) -> None:
    for found in broken("io error once", 3):
        check(found)
        assert found["status"] == 0, found


@pytest.mark.parametrize("fault", ["disk full", "read-only"])
def test_a_disk_that_takes_no_more_is_a_named_error_and_the_next_sweep_goes_on(
    broken: Callable[..., list[dict[str, Any]]], fault: str
) -> None:
    for found in broken(fault, 15):
        check(found)
        assert found["status"] == REFUSED, found
