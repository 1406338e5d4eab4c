"""What it costs to hand runs out: to workers of this machine, to Ray, to four nodes of Ray.

    python benchmarks/scale.py --out benchmarks/scale.md      # ten minutes, nothing beside

Empty runs are runs whose training does nothing: the cut, the scoring, the file and the store are
real. Each is a chain, and so a task, of its own. What a run costs is the time between the first and
the last point of a sweep (the cluster's or the server's start is a column of its own) times the
places, by the points; its own part of that is what the worker measured. The real study is LeNet-5
on `shapes`. The four nodes are four raylets of one CPU each on this machine's cores; in the second
run of them one is killed in the middle.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from report import write_report
from secateur.spec import StudySpec
from secateur.study.executors.local import LocalExecutor
from secateur.study.executors.ray import RayCluster
from secateur.study.observer import Silent
from secateur.study.sweep import run_study

LEVELS = [round(0.1 + 0.85 * k / 24, 4) for k in range(25)]
DATA = {"name": "shapes", "options": {"train": 512, "val": 128, "test": 128, "size": 16}}
EMPTY: Mapping[str, Any] = {
    "model": "lenet-300-100",
    "data": {"name": "shapes", "options": {"train": 32, "val": 16, "test": 16, "size": 8}},
    "train": "scale:nothing",
    "levels": LEVELS,
    "seeds": 1,
    "training": {"base_epochs": 1, "retrain_epochs": 1},
    "methods": {name: {"schedule": "one-shot"} for name in ("lamp", "random-weight")},
}
REAL: Mapping[str, Any] = {
    "model": "lenet-5",
    "data": DATA,
    "levels": [0.5, 0.7, 0.8, 0.9],
    "seeds": 2,
    "training": {"base_epochs": 3, "retrain_epochs": 3, "batch_size": 32},
    "methods": {"magnitude": {}, "l1-filter": {}, "taylor-filter": {}, "random-filter": {}},
}
SIZE: Mapping[str, Any] = {"object_store_memory": 80_000_000, "include_dashboard": False}

NOTES = """The machine has two cores, which four nodes share.
The wall of the first row holds the start of the server that runs are forked from, 6 s here, and
that of each row of Ray one such start a node. A run's own part is what it measures of itself; the
rest is the process, reading and coding files, and the store. `docs/many-machines.md` says what
follows for a hundred machines.
"""


def nothing(model: nn.Module, run: Any) -> None:
    """A training that does nothing."""
    del model
    for _ in range(run.epochs):
        run.report(loss=0.0)


class Watch(Silent):
    """When the runs began and ended; at a certain number of them something happens, once."""

    def __init__(self, at: int = 0, happens: Any = None) -> None:
        self.first = 0.0
        self.count = 0
        self.at, self.happens = at, happens

    def started(self, run: Any) -> None:
        del run
        self.first = self.first or time.monotonic()

    def ended(self, run: Any, reason: str) -> None:
        del run, reason
        self.count += 1
        if self.happens is not None and self.count >= self.at:
            happens, self.happens = self.happens, None
            happens()


@dataclass(frozen=True)
class Took:
    """What a sweep took.

    Attributes:
        start: Seconds until the first run was started.
        wall: From there to the end.
        inside: Seconds that the runs measured of themselves, all together.
        driver: CPU seconds of this process.
        points: How many.
    """

    start: float
    wall: float
    inside: float
    driver: float
    points: int


def sweep(study: Mapping[str, Any], watch: Watch, **options: Any) -> Took:
    """Perform a study in an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = resource.getrusage(resource.RUSAGE_SELF)
        begun = time.monotonic()
        spec = StudySpec.model_validate({"name": "scale", **study})
        run_study(spec, folder, device="cpu", threads=1, timing=False, observer=watch, **options)
        end = time.monotonic()
        after = resource.getrusage(resource.RUSAGE_SELF)
        with sqlite3.connect(folder / "study.sqlite") as database:
            results = [json.loads(row[0]) for row in database.execute("SELECT result FROM runs")]
        points = [one["point"] for one in results if one.get("point")]
    return Took(
        watch.first - begun,
        end - watch.first,
        sum(point["seconds"] for point in points),
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        len(points),
    )


@contextmanager
def nodes(count: int) -> Iterator[Any]:
    """A Ray cluster of a head without CPUs, which this process is on, and nodes of one CPU."""
    from secateur.study.executors.ray_connection import import_ray

    import_ray()
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SIZE})
    try:
        for _ in range(count):
            made.add_node(num_cpus=1, **SIZE)
        made.wait_for_nodes()
        yield made
    finally:
        made.shutdown()


def kill_one(cluster: Any) -> None:
    """A node is gone without a word, and none takes its place."""
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)


def rows(studies: Mapping[str, Mapping[str, Any]], places: list[int]) -> Iterator[list[object]]:
    """A row for each study and each way of handing it out."""
    for title, study in studies.items():
        for count in places:
            yield row(title, f"local, {count}", count,
                      sweep(study, Watch(), executor=LocalExecutor, workers=count))  # fmt: skip
        for count, killed in [*((count, False) for count in places), (4, False), (4, True)]:
            with ExitStack() as stack:
                cluster = stack.enter_context(nodes(count))
                watch = Watch(20, lambda: kill_one(cluster)) if killed else Watch()  # noqa: B023
                took = sweep(study, watch, executor=RayCluster(cluster.address))
            words = f"Ray, {count} nodes" + (", one killed at the 20th point" if killed else "")
            yield row(title, words, count, took)


def row(title: str, words: str, places: int, took: Took) -> list[object]:
    """As it stands in the table."""
    each = took.wall * min(places, 2) / took.points  # two cores, however many nodes
    print(title, words, took, file=sys.stderr, flush=True)
    return [
        title, words, took.points, f"{took.start:.1f}", f"{took.wall:.1f}",
        f"{each * 1e3:.0f}", f"{took.inside / took.points * 1e3:.0f}",
        f"{took.driver / took.points * 1e3:.1f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", choices=("empty", "real"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    studies = {"empty": EMPTY, "real": REAL}
    if options.only:
        studies = {options.only: studies[options.only]}
    write_report(
        options.out,
        title="Handing runs out",
        head=("study", "where", "points", "start, s", "wall, s", "core time a point, ms",
              "of it the run's own, ms", "CPU of the driver a point, ms"),
        rows=list(rows(studies, options.places)),
        runs=1,
        notes=NOTES,
    )  # fmt: skip


if __name__ == "__main__":
    main()
