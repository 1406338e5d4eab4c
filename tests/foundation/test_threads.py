import os
import subprocess
import sys
from pathlib import Path

import pytest

from secateur.foundation import threads as module
from secateur.foundation.threads import cores, let_threads_sleep, sleeping_threads


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight cores, and control groups that are files of the test's own."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(module, "_CGROUPS", tmp_path)
    monkeypatch.setattr(module, "_OWN_GROUPS", tmp_path / "own")
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cores_are_those_that_this_process_may_use(machine: Path) -> None:
    assert cores() == 8


def test_without_an_affinity_all_count(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("max 100000", 8),
        ("100000 100000", 1),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("6400000 100000", 8),
        ("nonsense", 8),
        ("", 8),
        ("0 0", 8),
        ("-1 100000", 8),
    ],
)
def test_a_containers_limit_counts(machine: Path, limit: str, found: int) -> None:
    put(machine / "own", "0::/a/b\n")
    put(machine / "a" / "cpu.max", limit)
    assert cores() == found


@pytest.mark.parametrize("group", ["/", "/a", "/somewhere/else", "/../.."])
def test_the_smallest_of_all_groups_around_counts(machine: Path, group: str) -> None:
    put(machine / "own", f"0::{group}\n")
    put(machine / "cpu.max", "300000 100000")
    put(machine / "a" / "cpu.max", "200000 100000")
    assert cores() == (2 if group == "/a" else 3)


def test_the_first_kind_of_groups_counts_too(machine: Path) -> None:
    put(machine / "own", "2:cpuacct:/\n4:cpu,cpuacct:/docker/x\nnonsense\n")
    put(machine / "cpu" / "docker" / "x" / "cpu.cfs_quota_us", "250000\n")
    put(machine / "cpu" / "docker" / "x" / "cpu.cfs_period_us", "100000\n")
    put(machine / "cpu" / "cpu.cfs_quota_us", "-1\n")
    put(machine / "cpu" / "cpu.cfs_period_us", "100000\n")
    assert cores() == 3


@pytest.mark.parametrize(
    "chosen", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "9"}, {"KMP_BLOCKTIME": "1"}]
)
def test_what_the_user_has_chosen_stays(chosen: dict[str, str]) -> None:
    environment = dict(chosen)
    let_threads_sleep(environment)
    assert environment == chosen


def test_it_holds_for_processes_started_meanwhile_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with sleeping_threads():
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_WAIT_POLICY" not in os.environ


def test_the_command_settles_it_before_torch_is_loaded() -> None:
    code = """
import os, sys
from secateur import __main__ as module, cli
assert "torch" not in sys.modules
cli.main = lambda: print(os.environ.get("OMP_WAIT_POLICY"))
module.main()
"""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "PASSIVE\n"
