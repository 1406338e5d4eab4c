"""A small study that is swept while it is tracked, and the real server that is told of it."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

STUDY = """
name = "tracked"
model = "tiny:net"
levels = [0.4]
data = { name = "shapes", options = { train = 80, val = 20, test = 20, size = 12 } }

[training]
base_epochs = 2
retrain_epochs = 2

[methods.magnitude]
[methods.slimming]
sparsity_epochs = 2
[methods.dense]
"""
SWEEP = ("sweep", "tiny.toml", "--out", "run", "--workers", "2", "--track", "mlflow")
SWEEP += ("--track", "tensorboard")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server with a store of its own."""
    folder = tmp_path_factory.mktemp("mlflow")
    script = Path(__file__).with_name("mlflow_server.py")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), (folder / "log").read_text()
        # The first request makes the database, which takes its time on a busy machine.
        query = "api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
        with urllib.request.urlopen(f"{address}/{query}", timeout=240) as answer:
            assert answer.status == 200
        yield address
        process.kill()


@dataclass(frozen=True)
class Swept:
    """A bench whose `run/` was swept with trackers.

    Attributes:
        bench: Where; `bench.run` gives another command.
        said: What the first sweep said on stdout.
        warned: And on stderr.
    """

    bench: Any
    said: str
    warned: str

    @property
    def folder(self) -> Path:
        folder: Path = self.bench.folder / "run"
        return folder


@pytest.fixture(scope="session")
def swept(make_bench: Callable[..., Any], server: str) -> Swept:
    """The study, swept once under both trackers."""
    bench = make_bench(study=STUDY)
    added = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_TRACKING_URI": server,
    }
    bench = replace(bench, environment={**bench.environment, **added})
    done = bench.run(*SWEEP)
    assert done.returncode == 0, done.stderr
    return Swept(bench, done.stdout, done.stderr)
