"""A study small enough to be run again and again, and the real command to run it with."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from secateur.point import Epochs, Point, Share, accuracy
from secateur.registry import ALL
from secateur.runtime.kernels import kernels
from secateur.spec import StudySpec
from secateur.study.heartbeat import read_heartbeat
from secateur.study.plan import Run, plan
from secateur.study.store import Store

from .rank_pool import RankPool

# What an earlier version wrote, and how: data, no tests.
collect_ignore_glob = ["version_0_1/*", "study/fault_driver.py"]


LONGEST = ("test_studies.py", "test_outside_package.py", "test_first_study.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: begun last, one of them would leave the other worker idle."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True)
def _registered_for_one_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test adds to a registry goes to the workers of no other test's sweep."""
    for registry in ALL:
        monkeypatch.setattr(registry, "_own", dict(registry.own))


NET = """
from torch import nn

def net(shape, classes):
    return nn.Sequential(
        nn.Conv2d(shape[0], 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 16),
        nn.ReLU(),
        nn.Linear(16, classes),
    )
"""

STUDY = """
name = "tiny"
model = "tiny:net"
levels = [0.4, 0.7]
data = { name = "shapes", options = { train = 300, val = 60, test = 60, size = 12 } }

[training]
base_epochs = 1
retrain_epochs = 1

[methods.magnitude]
[methods.l1-filter]
[methods.slimming]
sparsity_epochs = 1
[methods.combined]
[methods.random-weight]
[methods.random-filter]
[methods.scratch]
[methods.dense]
"""


@pytest.fixture(params=kernels.isas() if kernels.available() else ["no kernels"])
def each_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """A test that uses this runs once on each instruction set that the CPU has."""
    if not kernels.available():
        yield request.param
        return
    before = kernels.isa()
    kernels.use_isa(request.param)
    yield request.param
    kernels.use_isa(before)


@dataclass
class Bench:
    """A working directory with a study and a user's own net, and the `secateur` command in it."""

    folder: Path
    environment: Mapping[str, str] = field(
        default_factory=lambda: {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command in a process group of its own."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("secateur")), *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command, to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture(scope="session")
def make_bench(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bench]:
    """Makes a bench; the study and the module `name` may be other texts than the tiny ones."""

    def make(net: str = NET, study: str = STUDY, name: str = "tiny") -> Bench:
        folder = tmp_path_factory.mktemp("bench")
        (folder / f"{name}.py").write_text(net)
        (folder / "tiny.toml").write_text(study)
        return Bench(folder)

    return make


def sweep_and_watch(bench: Bench) -> None:
    """Sweep the study of a bench; beside it lies what was said, and what its heartbeat was."""
    heartbeats, deadline = [], time.monotonic() + 240
    with bench.start("sweep", "tiny.toml", "--out", "run", "--workers", "2") as process:
        while True:
            try:
                out, err = process.communicate(timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                assert time.monotonic() < deadline
                if found := read_heartbeat(bench.folder / "run"):
                    heartbeats.append(json.dumps(found))
    assert process.returncode == 0, err
    for name, text in (("stdout", out), ("stderr", err), ("heartbeats", "\n".join(heartbeats))):
        (bench.folder / name).write_text(text)


@pytest.fixture(scope="session")
def undisturbed(
    make_bench: Callable[..., Bench], tmp_path_factory: pytest.TempPathFactory
) -> Bench:
    """A bench whose `run/` holds the tiny study, swept in one go.

    Swept once in a session, by the first worker of pytest that needs it; each has a copy of its
    own, for tests write into it.
    """
    base = tmp_path_factory.getbasetemp()
    swept = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "undisturbed"
    with swept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not swept.is_dir():
            first = make_bench()
            sweep_and_watch(first)
            first.folder.rename(swept)
    bench = make_bench()
    shutil.copytree(swept, bench.folder, dirs_exist_ok=True)
    return bench


@pytest.fixture
def runs() -> tuple[Run, ...]:
    study = StudySpec.model_validate(
        {
            "methods": {"magnitude": {"levels": [0.5, 0.9]}},
            "training": {"base_epochs": 4, "retrain_epochs": 3},
        }
    )
    return plan(study, {"data": ""})


@pytest.fixture(scope="session")
def make_point() -> Callable[..., tuple[Run, Point]]:
    """Makes a measured point of 100 weights without training one, and the run that it is of."""

    def make(
        method: str, level: tuple[float, ...], correct: int, step: int = 0
    ) -> tuple[Run, Point]:
        digest = f"{method}-{step}".ljust(20, "0")
        kind: str = "base" if method == "dense" else "point"
        run = Run(digest, kind, method, level, step, 1, 0, {}, 1, {})
        zeros = round(100 * level[0]) if level else 0
        point = Point(
            method=method,
            level=level,
            step=step,
            seed=0,
            digest=digest,
            scores=(accuracy("val", correct, 100), accuracy("test", correct - 1, 100)),
            sparsity=Share(zeros, 100),
            conv_sparsity=Share(zeros, 100),
            model_sparsity=Share(zeros, 110),
            parameters=110,
            nonzero=110 - zeros,
            masked_macs=100,
            nonzero_macs=100 - zeros,
            compact_parameters=110,
            macs=100,
            epochs=Epochs(5, 0, 2),
            seconds=1.0,
            checkpoint=f"points/{digest}.safetensors",
        )
        return run, point

    return make


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RankPool]:
    """Runs a function of a test file on two ranks of a gloo group at once."""
    pool = RankPool(tmp_path_factory.mktemp("ranks"))
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def put() -> Callable[[Store, Run, Point], None]:
    """Puts a point into a store that is open for writing, as a sweep does."""

    def put(store: Store, run: Run, point: Point) -> None:
        store.record_end(store.record_start(run), run, "done", "", {"point": point.to_dict()})

    return put
