"""Executors: where runs are performed. Here, in worker processes of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

import cloudpickle  # type: ignore[import-untyped]

from secateur.study.executors.processes import RunProcesses
from secateur.study.executors.protocol import Event
from secateur.study.job import Job, Setup


class LocalExecutor:
    """Performs jobs in worker processes; a context manager that leaves none behind.

    Args:
        workers: How many at a time.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._processes = RunProcesses()
        self._shared = ""
        self._setups: list[Setup] = []

    def __enter__(self) -> Self:
        self._shared = mkdtemp(prefix="secateur-")
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.end()
        shutil.rmtree(self._shared, ignore_errors=True)

    @property
    def free(self) -> int:
        """How many more jobs can start now."""
        return self.workers - len(self._processes)

    @property
    def busy(self) -> bool:
        """Whether any job runs."""
        return bool(self._processes)

    def start(self, job: Job) -> None:
        """Start a job in a process of its own."""
        self._processes.start(
            job.run.digest,
            self._setup_file(job.setup),
            cloudpickle.dumps(job.without_setup()),
            os.getcwd(),
            dict(os.environ),
        )

    def _setup_file(self, setup: Setup) -> str:
        """Where workers find what all jobs share: it is written once, data in memory included."""
        known = [one is setup for one in self._setups]
        place = known.index(True) if True in known else len(known)
        path = Path(self._shared) / f"{place}.setup"
        if place == len(known):
            path.write_bytes(cloudpickle.dumps(setup))
            self._setups.append(setup)
        return str(path)

    def stop(self, digest: str) -> None:
        """End a run that is performed now."""
        self._processes.stop(digest)

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        """Whatever the running jobs have reported, waiting `timeout` seconds for a first report."""
        return self._processes.events(timeout)
