"""Executors: where runs are performed. Here, in worker processes of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Self

import cloudpickle  # type: ignore[import-untyped]

from secateur.errors import StoreError
from secateur.study.executors.processes import RunProcesses
from secateur.study.executors.protocol import Event
from secateur.study.job import Job, Setup


class LocalExecutor:
    """Performs jobs in worker processes; a context manager that leaves none behind.

    Args:
        workers: How many at a time.

    Raises:
        StoreError: The system's folder for temporary files cannot be used.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        try:
            self._processes = RunProcesses()
        except OSError as error:  # its socket lies there
            raise _no_room(Path(gettempdir()), error) from None
        self._shared = ""
        self._setups: list[Setup] = []
        self._written: list[str | bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.end()
        if self._shared:
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
            self._shared_setup(job.setup),
            cloudpickle.dumps(job.without_setup()),
            os.getcwd(),
            dict(os.environ),
            job.timeout,
        )

    def _shared_setup(self, setup: Setup) -> str | bytes:
        """Where workers find what all jobs share: it is written once, data in memory included.

        Where there is no room for it, it is sent with each job.
        """
        known = [one is setup for one in self._setups]
        if True in known:
            return self._written[known.index(True)]
        content: bytes = cloudpickle.dumps(setup)
        self._setups.append(setup)
        self._written.append(self._file_with(content, len(known)) or content)
        return self._written[-1]

    def _file_with(self, content: bytes, place: int) -> str:
        """A file with a pickled setup; empty where the disk is full or none can be made."""
        try:
            self._shared = self._shared or mkdtemp(prefix="secateur-")
            path = Path(self._shared, f"{place}.setup")
            path.write_bytes(content)
        except OSError:
            return ""
        return str(path)

    def stop(self, digest: str) -> None:
        """End a run that is performed now."""
        self._processes.stop(digest)

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        """Whatever the running jobs have reported, waiting `timeout` seconds for a first report."""
        return self._processes.events(timeout)


def _no_room(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        "starting workers",
        str(folder),
        given=f"not writable ({error.strerror or error})",
        expected="a folder for temporary files",
        remedy="Free the disk, or set TMPDIR to another folder (a short path), and give the same "
        "command: finished runs are kept.",
    )
