"""A cluster of several raylets on this machine: the points of the local executor, bit by bit."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from secateur.errors import UsageError
from secateur.point import Point
from secateur.spec import StudySpec
from secateur.study.executors import ray_connection
from secateur.study.executors.ray import RayCluster, RayExecutor, _Chain
from secateur.study.observer import Silent
from secateur.study.store import Store
from secateur.study.sweep import run_study

pytest.importorskip("ray")
# A raylet and its workers import torch each: a busy machine takes minutes for it.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

STUDY: dict[str, Any] = {
    "model": "lenet-300-100",
    "data": {"name": "shapes", "options": {"train": 64, "val": 16, "test": 16, "size": 8}},
    "levels": [0.5, 0.8],
    "training": {"base_epochs": 1, "retrain_epochs": 1, "batch_size": 32},
    "methods": {"magnitude": {}, "lamp": {}, "dense": {}},
}


SIZE: dict[str, Any] = {"object_store_memory": 80_000_000, "include_dashboard": False}


def study(**changes: Any) -> StudySpec:
    return StudySpec.model_validate({**STUDY, **changes})


def results(folder: Path) -> tuple[dict[str, Point], dict[str, bytes]]:
    """Points without their times, and the bytes of their files."""
    points = {
        point.digest: replace(point, seconds=0, training_seconds=0)
        for point in Store(folder).points()
    }
    return points, {path.name: path.read_bytes() for path in (folder / "points").iterdir()}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs, which the sweep is on, and a node of one CPU."""
    ray_connection.import_ray()
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SIZE})
    made.add_node(num_cpus=1, **SIZE)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    run_study(study(), folder, device="cpu", workers=1, threads=1, timing=False)
    return folder


class KillANode(Silent):
    """Kills the node that a point's first epoch came from, the only one, and starts another."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.points: set[str] = set()
        self.killed = False
        self.told: list[str] = []

    def started(self, run: Any) -> None:
        self.told.append(run.digest)
        if run.kind == "point":
            self.points.add(run.digest)

    def epoch(self, run: Any, values: Any) -> None:
        if run.digest in self.points and not self.killed:
            self.killed = True
            (node,) = self.cluster.worker_nodes
            self.cluster.remove_node(node, allow_graceful=False)
            self.cluster.add_node(num_cpus=1, **SIZE)


def test_the_same_points_although_a_node_is_killed_in_the_middle(
    cluster: Any, local: Path, tmp_path: Path
) -> None:
    ray = RayCluster(cluster.address)
    observer = KillANode(cluster)
    run_study(study(), tmp_path, executor=ray, threads=1, timing=False, observer=observer)
    assert observer.killed
    assert Store(tmp_path).failures() == ()
    assert results(tmp_path) == results(local)
    assert len(observer.told) == len(set(observer.told)) == len(results(local)[0])


DRIVER = """
import sys
from pathlib import Path
from secateur.spec import StudySpec
from secateur.study.executors.ray import RayCluster
from secateur.study.sweep import run_study
import json

if __name__ == "__main__":
    study = StudySpec.model_validate(json.loads(sys.argv[1]))
    run_study(study, Path(sys.argv[2]), executor=RayCluster(sys.argv[3]), threads=1, timing=False)
"""


def test_a_driver_that_was_killed_goes_on_from_the_store(
    cluster: Any, local: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", DRIVER, json.dumps(STUDY), str(tmp_path), cluster.address]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("points/*.safetensors")):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    done = Store(tmp_path).finished()
    assert len(done) < len(results(local)[0])
    subprocess.run(command, check=True)
    assert results(tmp_path) == results(local)
    attempts = [digest for digest, _ in Store(tmp_path).attempts()]
    assert all(attempts.count(digest) == 1 for digest in done)


def test_resources_that_no_node_has_are_refused(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="CPUs and GPUs of a run is 64 and 0, expected no more"):
        run_study(study(), tmp_path, executor=RayCluster(cluster.address, cpus=64), timing=False)
    assert Store(tmp_path).attempts() == ()


@pytest.mark.parametrize(
    ("address", "words"),
    [("127.0.0.1:1", "out of reach"), ("ray://x:1", "Ray's client"), ("nonsense", "no address")],
)
def test_an_address_where_no_cluster_is(address: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ray_connection.connect(address)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"secateur\[ray\]"):
        RayCluster().places("auto", None, None)


@pytest.mark.parametrize(("cpus", "gpus"), [(0, 0), (1.5, 0), (1, -1), (1, 2.5)])
def test_resources_that_ray_cannot_schedule(cpus: float, gpus: float) -> None:
    with pytest.raises(UsageError, match="per-run"):
        RayCluster(cpus=cpus, gpus=gpus)


def test_the_device_of_a_run_is_rays_choice() -> None:
    assert RayCluster(cpus=2).places("auto", None, None).devices == ("cpu",)
    assert RayCluster(cpus=2).places("auto", None, None).threads == 2
    assert RayCluster(gpus=0.5).places("auto", 3, None).devices == ("cuda",)
    for given in ("cuda:1", "cuda"):
        with pytest.raises(UsageError, match="gpus-per-run"):
            RayCluster().places(given, None, None)


def test_a_run_that_is_told_to_end_reports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = RayExecutor(2)
    cancelled: list[str] = []
    ray = SimpleNamespace(cancel=lambda stream, **_: cancelled.append(stream))
    jobs = {stream: SimpleNamespace(run=SimpleNamespace(digest=stream * 2)) for stream in "ab"}
    chains: Any = {stream: _Chain(deque([job])) for stream, job in jobs.items()}  # type: ignore[list-item]
    monkeypatch.setattr(executor, "_ray", ray)
    monkeypatch.setattr(executor, "_running", chains)
    executor.stop("bb")
    assert cancelled == ["b"]
    assert list(executor._running) == ["a"]
    executor._running.clear()
    assert executor.busy
    (event,) = executor.events(0)
    assert (event.digest, event.kind) == ("bb", "failed")
    assert not executor.busy
