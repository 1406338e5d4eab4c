"""A chain of runs as a task of a machine elsewhere: in a folder of its own, files in and files out.

Nothing here imports torch or Ray: each run is a process, as it is of the local executor, and this
one only brings files and passes on what the runs report. A run that crashes takes nothing with it.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy
from numpy.typing import NDArray

from secateur.errors import UsageError
from secateur.study.executors.processes import RunProcesses
from secateur.study.executors.protocol import Event
from secateur.study.folder import checkpoint_name

Bytes = NDArray[numpy.uint8]
"""Of a file. Arrays lie in Ray's object store as they are, and are read there without a copy."""

_SETUP = "shared.setup"
_SAME = ("secateur", "torch", "numpy")
_EVERY = 0.5


@dataclass(frozen=True)
class ChainTask:
    """What a chain is, without what all chains share.

    Attributes:
        digests: Its runs, in their order.
        jobs: Each run's job, pickled without its setup.
        parents: The runs whose files come along.
        environment: Variables that the network reads, as they are in the sweep's process.
        versions: Of the sweep's process; see `versions`.
        timeout: Seconds after which a run is given up; None for never.
    """

    digests: tuple[str, ...]
    jobs: tuple[bytes, ...]
    parents: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None


def versions() -> dict[str, str]:
    """What has to be the same everywhere: other versions give other numbers."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in _SAME:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a source tree on the path
            found[name] = "from source"
    return found


def perform_chain(
    task: ChainTask, setup: Bytes, brought: Mapping[str, bytes], *files: Bytes
) -> Iterator[tuple[Event, Bytes | None]]:
    """Perform the runs of a chain one after the other, until one fails.

    Args:
        task: The chain.
        setup: What all chains share, pickled; its folder is `.`, which is where a run works.
        brought: Further files, by their paths in that folder.
        files: Of the runs in `task.parents`.

    Yields:
        Events as the runs report them; with each `done` the file that the run has left.

    Raises:
        UsageError: This machine has other versions than the sweep.
    """
    _check_versions(task.versions)
    # A run's process imports what is the main file here, and Ray's is of no use to it.
    vars(sys.modules["__main__"]).pop("__file__", None)
    with TemporaryDirectory(prefix="secateur-") as name:
        folder = Path(name)
        contents: dict[str, Any] = {_SETUP: setup, **brought}
        contents |= {checkpoint_name(one): f for one, f in zip(task.parents, files, strict=True)}
        (folder / checkpoint_name("points")).parent.mkdir()
        for path, content in contents.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        yield from _perform(task, folder)


def _perform(task: ChainTask, folder: Path) -> Iterator[tuple[Event, Bytes | None]]:
    processes = RunProcesses()
    variables = {**environ, **task.environment}
    try:
        for digest, job in zip(task.digests, task.jobs, strict=True):
            with _importable(str(folder)):
                processes.start(
                    digest, str(folder / _SETUP), job, str(folder), variables, task.timeout
                )
            while processes:
                for event in processes.events(_EVERY):
                    file = None
                    if event.kind == "done":
                        content = (folder / checkpoint_name(digest)).read_bytes()
                        file = numpy.frombuffer(content, numpy.uint8)
                    yield event, file
                    if event.kind == "failed":
                        return
    finally:
        processes.end()


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    """Processes that are started meanwhile look for modules in the folder first."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _check_versions(wanted: Mapping[str, str]) -> None:
    here = versions()
    other = [name for name, one in wanted.items() if here[name] != one]
    if other:
        raise UsageError(
            "performing a run elsewhere",
            f"{other[0]} on {platform.node()}",
            given=here[other[0]],
            expected=f"{wanted[other[0]]}, as where the sweep is",
            remedy="Install the same versions on every machine: others give other numbers.",
        )
