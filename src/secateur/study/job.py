"""A job: one run of a study, with all that it takes to perform it anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn

import secateur.data
from secateur import models
from secateur.data.data import Data
from secateur.errors import DataError
from secateur.measure.latency import torch_threads
from secateur.registry import ALL
from secateur.spec import StudySpec
from secateur.study.fingerprint import check_net
from secateur.study.folder import checkpoint_name
from secateur.study.loop import loop_of
from secateur.study.module_text import Parts
from secateur.study.plan import Run
from secateur.study.sources import check_sources
from secateur.study.trained_start import start_from
from secateur.training.fit import stream
from secateur.training.loop import Loop


@dataclass(frozen=True)
class Setup:
    """What all the runs of a study share.

    Attributes:
        study: The settings.
        folder: The run folder.
        model: A builder given in Python, instead of the settings' name.
        data: Data given in Python, likewise.
        given: A task or functions given in Python, where the settings say so.
        expected: Of a network of the user's own, by seed: what the plan was made of.
        fingerprint: Of the data that the plan was made of; empty where nothing was planned.
        registered: By kind, what was added to the registries of the sweep's process.
        content: SHA-256 of the checkpoint that the dense net starts from; empty without one.
        contents: Of every file of scores or masks, by its path, likewise.
        sources: Of the user's own modules that runs may import: digests of their texts.
        copies: Path of a file that the settings name -> of its copy, where another machine works.
    """

    study: StudySpec
    folder: Path
    model: Callable[..., object] | None = None
    data: Data | None = None
    given: Loop | None = None
    expected: Mapping[int, Parts] = field(default_factory=dict)
    fingerprint: str = ""
    registered: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    content: str = ""
    contents: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)

    def load_data(self) -> Data:
        """The data, on the CPU.

        Raises:
            DataError: They cannot be read, or are no longer those of the plan.
        """
        data = self.data
        if data is None:
            data = secateur.data.load(self.study.data.name, **self.study.data.options)
        self._check_data(data)
        return data

    def check_unchanged(self, data: Data) -> None:
        """Make sure that what a run was made of is still what the plan names it by.

        Args:
            data: What the run has read, on whatever device.

        Raises:
            DataError: They are others now.
            ModelError: A module of the user's own was imported from another text.
        """
        check_sources(self.sources)
        self._check_data(data)

    def _check_data(self, data: Data) -> None:
        # Data that are read item by item are read once more; of others the digest is made anew.
        reread: Callable[[], str] = getattr(data, "reread", data.fingerprint)
        if self.fingerprint and reread() != self.fingerprint:
            raise DataError(
                "reading the data in a worker",
                self.study.data.name,
                given="not as they were when the sweep began",
                expected="the data that the run is named by",
                remedy="Leave the files alone while a sweep runs, and give the command again.",
            )

    def build_model(self, data: Data, seed: int = 0) -> nn.Module:
        """The network with the initial weights of a seed.

        Raises:
            ModelError: It cannot be built, or is not what the plan was made of.
        """
        source = self.model or self.study.model.name
        with _seeded(stream(seed, "init")):
            net = models.build_for(source, data.traits(), self.study.model.options)
        if seed in self.expected:
            check_net(net, self.expected[seed])
        check_sources(self.sources)
        return net

    def build_base(self, data: Data, seed: int = 0) -> nn.Module:
        """The network that the dense net starts as: a checkpoint's where the study names one.

        Raises:
            ModelError: As `build_model`; or the checkpoint cannot be read or is of another net.
        """
        net = self.build_model(data, seed)
        if self.study.base.checkpoint:
            start_from(net, self.file(self.study.base.checkpoint), self.content)
        return net

    def file(self, path: str) -> Path:
        """Where a file that the settings name lies for this process."""
        return Path(self.copies.get(path, path)).expanduser()

    def loop(self) -> Loop:
        """How the nets are trained and scored.

        Raises:
            UsageError: What the settings name cannot be imported.
        """
        return loop_of(self.study, self.given)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Every global generator seeded, on one thread; the caller's are left as they were.

    A decomposition (orthogonal weights) differs in its last bits with the number of threads, and
    here it must be the same in the sweep's process and in each worker.
    """
    python, arrays = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng(devices=[]), torch_threads(1):
        torch.manual_seed(seed)
        random.seed(seed)
        numpy.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            numpy.random.set_state(arrays)


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs to perform one run.

    Attributes:
        run: What to do.
        setup: The study that it is part of.
        device: As `resolve_device` reads it.
        threads: Intra-op threads; results depend on it in the last bits.
        sums: SHA-256 of the parents' files by their digests; without one a file is taken as it is.
        draft: Where several sweeps share the folder, the name in it under which the run's file is
            written; whose result counts gives it its own. Empty: its own at once.
        timeout: Seconds after which its executor gives it up; None for never.
    """

    run: Run
    setup: Setup
    device: str = "cpu"
    threads: int = 1
    sums: Mapping[str, str] = field(default_factory=dict)
    draft: str = ""
    timeout: float | None = None

    @property
    def study(self) -> StudySpec:
        """The settings."""
        return self.setup.study

    def without_setup(self) -> Job:
        """The job without what all of a study share, to be sent by itself."""
        return replace(self, setup=None)  # type: ignore[arg-type]

    def with_setup(self, setup: Setup) -> Job:
        """The job, whole again."""
        return replace(self, setup=setup)

    def prepare(self) -> None:
        """Register in this process what the sweep's process has registered."""
        for registry in ALL:
            registry.adopt(self.setup.registered.get(registry.kind, {}))

    def file_of(self, digest: str) -> Path:
        """Where the weights of a run of this study lie."""
        return self.setup.folder / checkpoint_name(digest)

    @property
    def output(self) -> Path:
        """Where this run's weights are written."""
        return self.setup.folder / self.draft if self.draft else self.file_of(self.run.digest)

    def parent(self, role: str) -> tuple[Path, str]:
        """The file that a parent left, and the sum that it was written with, if it is known."""
        digest = self.run.parents[role]
        return self.file_of(digest), self.sums.get(digest, "")
