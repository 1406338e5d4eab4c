"""A planned study: its data, its loop and every run, named by all that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from secateur import models
from secateur.data.data import Data, check_data
from secateur.registry import ALL, MODELS
from secateur.spec import StudySpec
from secateur.study.fingerprint import (
    digest_of,
    fingerprints,
    import_anew,
    note_files,
)
from secateur.study.job import Setup
from secateur.study.method_code import loop_codes, method_codes
from secateur.study.module_text import Parts
from secateur.study.own_code import own_code
from secateur.study.plan import Run, plan
from secateur.study.sources import sources_of
from secateur.study.tensor_files import contents_of
from secateur.study.trained_start import content_of
from secateur.training.loop import Loop


@dataclass(frozen=True)
class PlannedStudy:
    """A study that is ready to be run.

    Attributes:
        setup: What all its runs share.
        data: Its data, on the CPU.
        loop: How its nets are trained and scored.
        runs: The plan.
    """

    setup: Setup
    data: Data
    loop: Loop
    runs: tuple[Run, ...]

    def with_sources(self) -> PlannedStudy:
        """The same, with the text of all code that its runs may import, as far as it is there.

        Once the net has been tried, what its `forward` imports is there too.
        """
        setup, loop = self.setup, self.loop
        handed = (setup.model, setup.data, loop.task, loop.train, loop.evaluate)
        found = sources_of(setup.expected, setup.registered, handed)
        return replace(self, setup=replace(setup, sources=found))


@own_code("preparing a study")
def plan_study(
    study: StudySpec,
    folder: Path,
    *,
    model: Callable[..., nn.Module] | None = None,
    data: Data | None = None,
    given: Loop | None = None,
) -> PlannedStudy:
    """Load a study's data and name its runs; nothing is trained or written.

    Args:
        study: The settings.
        folder: The run folder.
        model: A builder in Python, instead of the settings' name.
        data: Data in Python, likewise.
        given: A task or functions in Python, where the settings say so.

    Raises:
        UsageError: What the settings name cannot be loaded or built, or they contradict each other.
    """
    if data is not None:
        check_data(data, "beginning a study")
    builder = _own_builder(study, model)
    # A name that was registered here is unknown to the workers: they are given what it stands for.
    build = builder if ":" not in study.model.name else model
    path = study.base.checkpoint
    content = content_of(Path(path).expanduser()) if path else ""
    contents = contents_of(study)
    setup = Setup(study, folder.resolve(), build, data, given, content=content, contents=contents)
    loop = setup.loop()
    loaded = setup.load_data()
    nets = _fingerprints(setup, loaded, builder)
    setup = replace(
        setup,
        expected=nets,
        fingerprint=loaded.fingerprint(),
        registered={registry.kind: registry.own for registry in ALL},
    )
    nets_of = {seed: digest_of(parts) for seed, parts in nets.items()}
    codes = {**method_codes(study), **loop_codes(study, loop), **contents}
    sources = {"data": setup.fingerprint, **({"checkpoint": content} if content else {})}
    runs = plan(study, sources, nets_of, codes)
    return PlannedStudy(setup, loaded, loop, runs).with_sources()


def _own_builder(
    study: StudySpec, model: Callable[..., nn.Module] | None
) -> Callable[..., object] | None:
    """The user's own builder: given, named by a path, or registered; None for a reference net."""
    if model is not None:
        return models.check_builder(model, "beginning a study")
    name = study.model.name
    if ":" in name:
        import_anew(name)
        return models.find(name)
    builder: Callable[..., object] = MODELS[name]
    ours = getattr(builder, "__module__", "").startswith("secateur.")
    return None if ours else builder


def _fingerprints(
    setup: Setup, data: Data, builder: Callable[..., object] | None
) -> dict[int, Parts]:
    """What the network of each seed is made of; nothing for a reference net."""
    if builder is None:
        return {}
    parts = fingerprints(
        builder, lambda seed: setup.build_model(data, seed), sorted(setup.study.seeds)
    )
    note_files(next(iter(parts.values())))
    return parts
