import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from secateur.study.heartbeat import Heartbeat, read_heartbeat
from secateur.study.plan import Run


def read(folder: Path) -> dict[str, Any]:
    found = read_heartbeat(folder)
    assert found is not None
    return found


def epoch(number: int, loss: float = 0.5) -> dict[str, float]:
    return {"epoch": number, "loss": loss, "val_accuracy": 0.25}


def test_a_watcher_sees_what_is_under_way(
    tmp_path: Path, runs: tuple[Run, ...], clock: list[float]
) -> None:
    with Heartbeat(tmp_path) as heartbeat:
        heartbeat.planned(runs, frozenset())
        assert read(tmp_path)["runs"] == 3
        heartbeat.started(runs[0])
        begun = read(tmp_path)["underway"][0]
        assert (begun["epoch"], begun["loss"], "val_accuracy" in begun) == (0, None, False)
        clock[0] = 10
        heartbeat.epoch(runs[0], epoch(1))
        assert read(tmp_path)["seconds_left"] is None
        clock[0] = 20
        heartbeat.epoch(runs[0], epoch(2))
        found = read(tmp_path)
        assert {name: found[name] for name in ("doing", "ended", "failed", "seconds_left")} == {
            "doing": "training",
            "ended": 0,
            "failed": 0,
            "seconds_left": 80.0,
        }
        assert (found["epochs_trained"], found["epochs_left"]) == (2, 8)
        (entry,) = found["underway"]
        assert abs(entry.pop("since") - time.time()) < 600
        assert entry == {
            "digest": runs[0].digest,
            "title": "dense base seed 0",
            "kind": "base",
            "method": "dense",
            "level": [],
            "seed": 0,
            "epoch": 2,
            "epochs": 4,
            "loss": 0.5,
            "val_accuracy": 0.25,
        }
        heartbeat.ended(runs[0], "")
        heartbeat.ended(runs[1], "out of memory")
        found = read(tmp_path)
        assert (found["ended"], found["failed"], found["underway"]) == (2, 1, [])
        heartbeat.timing(2)
        assert read(tmp_path)["doing"] == "timing"
    assert read_heartbeat(tmp_path) is None
    assert not (tmp_path / "pulse.json").exists()


def test_a_loss_that_is_not_finite_is_still_json(tmp_path: Path, runs: tuple[Run, ...]) -> None:
    with Heartbeat(tmp_path) as heartbeat:
        heartbeat.planned(runs, frozenset())
        heartbeat.started(runs[0])
        heartbeat.epoch(runs[0], epoch(1, float("nan")))
        assert read(tmp_path)["underway"][0]["loss"] is None


def test_epochs_of_a_run_are_written_once_a_second_and_those_of_another_do_not_wait(
    tmp_path: Path, runs: tuple[Run, ...], clock: list[float]
) -> None:
    def epochs() -> list[int]:
        return [entry["epoch"] for entry in read(tmp_path)["underway"]]

    with Heartbeat(tmp_path) as heartbeat:
        heartbeat.planned(runs, frozenset())
        heartbeat.started(runs[0])
        heartbeat.started(runs[1])
        heartbeat.epoch(runs[0], epoch(1))
        clock[0] = 0.9
        heartbeat.epoch(runs[0], epoch(2))
        assert epochs() == [1, 0]
        heartbeat.epoch(runs[1], epoch(1))
        assert epochs() == [2, 1]
        clock[0] = 1.0
        heartbeat.epoch(runs[0], epoch(3))
        assert epochs() == [3, 1]


DYING = """
import sys, time
from pathlib import Path
from secateur.study.heartbeat import Heartbeat
with Heartbeat(Path(sys.argv[1])) as heartbeat:
    heartbeat.planned((), frozenset())
    print("beats", flush=True)
    time.sleep(600)
"""


def test_the_heartbeat_of_a_killed_sweep_counts_for_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DYING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "beats\n"
        assert read(tmp_path)["runs"] == 0
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
    assert (tmp_path / "pulse.json").is_file()
    assert read_heartbeat(tmp_path) is None
    with Heartbeat(tmp_path) as heartbeat:  # and the next sweep has one again
        heartbeat.planned((), frozenset())
        assert read(tmp_path)["runs"] == 0


def test_a_disk_that_cannot_be_written_stops_the_heartbeat_and_not_the_sweep(
    tmp_path: Path, runs: tuple[Run, ...]
) -> None:
    with Heartbeat(tmp_path / "gone") as heartbeat:
        heartbeat.planned(runs, frozenset())
        heartbeat.started(runs[0])
    assert read_heartbeat(tmp_path / "gone") is None
    (tmp_path / "pulse.partial").mkdir()
    with Heartbeat(tmp_path) as heartbeat:
        heartbeat.planned(runs, frozenset())
        assert read_heartbeat(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_file_that_is_no_heartbeat_is_none(tmp_path: Path, text: str) -> None:
    with Heartbeat(tmp_path):
        (tmp_path / "pulse.json").write_text(text, encoding="latin-1")
        assert read_heartbeat(tmp_path) is None


def test_a_sweep_has_a_heartbeat_while_it_runs(undisturbed: Any) -> None:
    seen = (undisturbed.folder / "heartbeats").read_text().splitlines()
    underway = {run["title"] for text in seen for run in json.loads(text)["underway"]}
    assert "dense base seed 0" in underway
    assert any(title.endswith(" 0.7 seed 0") for title in underway)
    assert read_heartbeat(undisturbed.folder / "run") is None


def test_of_several_that_share_a_folder_one_writes_and_the_next_goes_on(
    tmp_path: Path, runs: tuple[Run, ...]
) -> None:
    with Heartbeat(tmp_path, shared=True) as other:
        with Heartbeat(tmp_path, shared=True) as one:
            one.planned(runs, frozenset())  # the other one has the turn
            assert not (tmp_path / "pulse.json").exists()
            other.planned(runs, frozenset())
        assert read(tmp_path)["runs"] == 3  # its end took nothing of the other's away
        with Heartbeat(tmp_path, shared=True) as one:
            other.__exit__()
            assert read_heartbeat(tmp_path) is None
            one.planned(runs[:2], frozenset())
            assert read(tmp_path)["runs"] == 2
