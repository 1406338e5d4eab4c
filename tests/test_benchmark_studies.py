"""What `benchmarks/` tells: its long studies can be planned, its story is what the results say."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from secateur.spec import read_study
from secateur.study.plan import plan

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
FILES = sorted(BENCHMARKS.glob("studies/*.toml"))


def module(path: str) -> ModuleType:
    """A script, under a name that no other file takes."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{Path(path).stem}", BENCHMARKS / path)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_study_has_its_file_s_name_and_a_plan(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(file.parent)  # where run.py finds nets and data of one's own
    study = read_study(file)
    assert study.name == file.stem
    assert plan(study, {"data": "..."})


def test_every_number_of_the_story_is_in_a_committed_result() -> None:
    command = [sys.executable, str(BENCHMARKS / "story" / "write.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_number_that_is_in_no_result_is_seen() -> None:
    unknown = module("story/check.py").unknown
    made = ["| conv4 | 0.912 ±0.004 | 123456 |"]
    assert unknown("On conv4 0.912, -0.004 and 123,456; see [1](page-77.md), LeNet-5.", made) == []
    assert unknown("At 0.913 it loses +0.5 of 99.", made) == ["0.913", "0.5", "99"]


def test_the_claims_are_judged_by_the_results() -> None:
    original = module("studies/original.py")

    def points(method: str, level: str, *rights: int, zeros: int = 0) -> list[dict[str, object]]:
        shares = {"sparsity": [zeros, 100], "conv_sparsity": [zeros, 100]}
        return [
            {"method": method, "level": level, "seed": seed, "test": [right, 100], **shares}
            for seed, right in enumerate(rights)
        ]

    found = {
        "points": [
            *points("dense", "-", 90, 91, 92),
            *points("magnitude", "0.9", 90, 91, 92, zeros=90),
            *points("magnitude", "0.95", 80, 81, 82, zeros=95),
            *points("l1-filter", "0.5", 70, 71, 72, zeros=50),
            *points("slimming", "0.5", 59, 59, 59, zeros=50),
        ],
        "hypervolumes": {
            "sparsity": {
                "magnitude": {"0": 0.8, "1": 0.8},
                "l1-filter": {"0": 0.1, "1": 0.1},
                "slimming": {"0": 0.1, "1": 0.1},
                "combined": {"0": 0.9, "1": 0.9},
            }
        },
    }
    judged = [one.holds for one in original.claims(found)]
    assert judged == [False, True, True, False, False]
    dense_alone = {**found, "points": found["points"][:3]}
    judged = original.claims({**dense_alone, "hypervolumes": {"sparsity": {}}})
    assert {one.holds for one in judged} == {None}


def test_peers_stand_beside_ours_at_what_both_were_asked_for() -> None:
    def net(method: str, **more: object) -> dict[str, object]:
        facts = {"method": method, "level": "macs=0.5", "seed": 0, "seconds": 2.0}
        counts = {"val": [9, 10], "test": [8, 10], "macs": 50, "nonzero": 70, "bytes": 400}
        return {**facts, **counts, **more}

    ours = net("l1-filter", compact_parameters=60, latency=[["engine", 1, 0.002, 0.001, 0.003]])
    found = {"points": [ours], "peers": [net("Peer", structured=True)]}
    lines = list(module("story/tables.py").peers(found))
    assert "| MACs 0.5 | Peer | 0.900 | 0.800 | 50 | 70 | 400 | - | - |" in lines
    row = "| MACs 0.5 | **secateur** `l1-filter` | 0.900 | 0.800 | 50 | 60 | 400 | 2.000 | - |"
    assert row in lines
    assert "- 1 structured nets of ours: 2 s, cut to retrained." in lines


def test_what_a_net_saves_of_a_cost_has_an_area(monkeypatch: pytest.MonkeyPatch) -> None:
    def net(method: str, level: str, right: int, size: int, ms: float) -> dict[str, object]:
        facts = {"method": method, "level": level, "seed": 0, "collapsed": False, "epochs": [3]}
        timings = [["torch", 1, 99.0, 98.0, 100.0], ["engine", 1, ms, ms, ms]]
        return {**facts, "val": [right, 10], "bytes": size, "latency": timings}

    for folder in ("story", "studies"):  # as write.py finds what costs.py imports
        monkeypatch.syspath_prepend(BENCHMARKS / folder)
    costs = module("story/costs.py")
    singles = [net(method, "0.5", 8, 50, 5.0) for method in costs.SINGLE]
    found = {
        "points": [
            net("dense", "-", 10, 100, 10.0),
            *singles,
            net("magnitude", "0.9", 5, 25, 20.0),
            net("combined", "0.5", 9, 50, 5.0),
        ]
    }
    lines = list(costs.table(found))
    assert lines[0] == "| method | saved bytes | saved latency at batch 1 |"
    # 0.5 * 0.8 + 0.25 * 0.5; what is slower than the dense net saves nothing.
    assert "| `magnitude` | 0.525 | 0.400 |" in lines
    assert "- bytes: `combined` is below `magnitude` by the band (-0.075)." in lines
    assert any("at batch 1: `combined` is at or above" in line for line in lines)
    untimed = [{**one, "latency": []} for one in found["points"]]
    assert next(costs.table({"points": untimed})) == "| method | saved bytes |"
    unknown = [{**one, "bytes": None} for one in untimed]
    assert list(costs.table({"points": unknown})) == []
