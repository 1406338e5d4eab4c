"""Export: a point's network, rebuilt and without its empty channels, as a file that outlives it.

What the store says is data: it names no code that is run and no file that is opened. The builder of
a network is the user's own word, or one of our registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secateur.artifact.manifest import Source
from secateur.artifact.path import Format
from secateur.errors import ChannelError, StoreError, UsageError
from secateur.foundation.atomic_write import no_target
from secateur.point import Point
from secateur.registry import MODELS, importable
from secateur.spec import check_study
from secateur.study import presets
from secateur.study.folder import component, inside
from secateur.study.net_source import OPERATION, example_for, source_of
from secateur.study.point_names import point_name
from secateur.study.store import Store

if TYPE_CHECKING:
    from torch import nn

    from secateur.channels.compaction.record import Compaction
    from secateur.foundation.run_example import Inputs
    from secateur.pruning.masks import Masks

_DIGITS = 8

Builder = str | Callable[..., object]


@dataclass(frozen=True)
class PointNet:
    """A point's network, rebuilt.

    Attributes:
        study: The name of its study.
        point: The point.
        source: What builds its network.
        net: Before any channel is removed, in evaluation mode.
        masks: Its masks.
        compaction: What became of its channels, or why they have to stay.
        example: A batch that it accepts.
    """

    study: str
    point: Point
    source: Source
    net: nn.Module
    masks: Masks
    compaction: Compaction | ChannelError
    example: Inputs

    @property
    def small(self) -> nn.Module:
        """The network that is shipped: without its empty channels, where these can go."""
        if isinstance(self.compaction, ChannelError):
            return self.net
        return self.compaction.model.eval()

    def write(self, path: Path, kind: Format) -> None:
        """Write it to a file.

        Args:
            path: Where.
            kind: The kind of file.

        Raises:
            ArtifactError: It cannot be written.
            ModelError: It holds what cannot be exported.
        """
        from secateur.artifact.export import export_onnx, export_pt2
        from secateur.study.point_artifact import write_artifact

        if kind == "onnx":
            name = point_name(self.point)
            export_onnx(self.small, self.example, path, metadata={"secateur": name})
        elif kind == "pt2":
            export_pt2(self.small, self.example, path)
        else:
            write_artifact(
                path,
                self.study,
                self.source,
                self.point,
                self.net,
                self.masks,
                self.compaction,
                self.example,
            )

    def package(self, folder: Path) -> None:
        """Write it into a folder that runs it without torch; see `secateur.package`.

        Raises:
            ModelError: An operator has no kernel.
            ArtifactError: It cannot be written.
        """
        from secateur.artifact.package import package

        package(self.small, self.example, folder)


def point_net(
    store: Store, point: Point, model: Builder | None = None, study: str | None = None
) -> PointNet:
    """Rebuild a point's network from the store; its data are not needed.

    Args:
        store: Of the run folder.
        point: One of its points.
        model: What builds the network: `package.module:function`, or the function itself. Not
            needed for a reference net.
        study: The user's own study file instead, for the options of the builder.

    Raises:
        UsageError: The store names a function, and the user none; or the study file is of another
            network.
        ModelError: The network cannot be built, or an instance was given for what builds it.
        StoreError: The store says too little, or something else than what it should.
    """
    from secateur.study.point_artifact import compaction_of

    spec = check_study(store.settings, str(store.folder), trusted=False)
    # What lies beside a study file is found from wherever the command is given.
    beside: AbstractContextManager[None] = nullcontext()
    if study is not None:
        beside = importable(Path(study).absolute().parent)
    with beside:
        own = None if study is None else presets.read(study)
        name = model if model is None or isinstance(model, str) else _name_of(model)
        source = source_of(store, spec, name, own)
        example, traits = example_for(store, source, own)
        net, masks = _rebuilt(store, source, traits, point, model)
        compaction = compaction_of(net, masks, example)
    return PointNet(spec.name, point, source, net, masks, compaction, example)


def file_for(store: Store, point: Point, kind: Format, form: str = "") -> Path:
    """Where a point is exported to by default: `RUN/exports/METHOD-LEVEL-SEED.KIND`.

    Args:
        store: Of the run folder.
        point: One of its points.
        kind: The kind of file.
        form: What else it is, before its suffix: `int8`.
    """
    name = "-".join(part for part in (_file_name(point), form) if part)
    return inside(store.folder, "exports", f"{name}.{kind}")


def folder_for(store: Store, point: Point) -> Path:
    """Where a point is packaged by default: `RUN/packages/METHOD-LEVEL-SEED`."""
    return inside(store.folder, "packages", _file_name(point))


def check_target(target: Path) -> None:
    """Find it wrong where a file is to go before a net is built for it.

    Raises:
        UsageError: Something else than a file lies there.
    """
    if found := no_target(target):
        raise UsageError(
            OPERATION,
            str(target),
            given=found,
            expected="a file, or nothing",
            remedy="Name another file with --out; nothing was written.",
        )


def make_folder(folder: Path) -> None:
    """Make the folder that a file is to go to.

    Raises:
        StoreError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            OPERATION,
            str(folder),
            given=f"not writable ({error.strerror})",
            expected="a folder in which the file can be made",
            remedy="Name another file with --out.",
        ) from None


def _file_name(point: Point) -> str:
    """A name for the file; a level with patterns in it is spelt, and told apart by the digest."""
    said = point.level_name.replace("/", "+").strip("-")
    level = re.sub(r"[^A-Za-z0-9.+_-]+", "-", said).strip("-")
    method = component(point.method, "the method")
    own = "" if level == said else point.digest[:_DIGITS]
    return "-".join(part for part in (method, level, str(point.seed), own) if part)


def _name_of(builder: Callable[..., object]) -> str:
    from secateur.models import check_builder

    checked = check_builder(builder, OPERATION)
    module = getattr(checked, "__module__", "")
    return f"{module}:{getattr(checked, '__qualname__', type(checked).__qualname__)}"


def _rebuilt(
    store: Store, source: Source, traits: Mapping[str, Any], point: Point, model: Builder | None
) -> tuple[nn.Module, Masks]:
    """The pruned network before any channel is removed, and its masks."""
    import torch

    from secateur import models
    from secateur.pruning.masks import Masks
    from secateur.study.checkpoint import check_shapes, restore

    weights, known = store.checkpoint(point.digest), store.sum(point.digest)
    if source.name in MODELS and not callable(model):
        # Without memory first: a store may name a shape that no machine has room for.
        with torch.device("meta"):
            sketch = models.build_for(source.name, traits, source.options)
        check_shapes(sketch, weights, known)
    builder = model if callable(model) else source.name
    net = models.build_for(builder, traits, source.options)
    masks = restore(net, weights, known) or Masks({})
    return net.eval(), masks
