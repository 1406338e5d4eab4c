"""Stored pick: a pick with the run folder that it was made in, and so a network to ship."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from secateur.artifact.path import format_of
from secateur.errors import UsageError
from secateur.point import Point
from secateur.study.export import Builder, check_target, file_for, make_folder, point_net
from secateur.study.int8_points import SUFFIX, source_of
from secateur.study.net_source import OPERATION
from secateur.study.pick import Pick, shipped_point
from secateur.study.store import Store

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class StoredPick(Pick):
    """What `pick` found in a run folder; see `Pick`.

    Attributes:
        folder: The run folder.
        builder: What builds the study's network, where that is known.
    """

    folder: Path = field(default=Path())
    builder: Builder | None = field(default=None, repr=False)

    @classmethod
    def of(cls, found: Pick, folder: Path, builder: Builder | None = None) -> StoredPick:
        """A pick that was made in a run folder."""
        held = {one.name: getattr(found, one.name) for one in fields(Pick)}
        return cls(**held, folder=folder, builder=builder)

    @property
    def point(self) -> Point:
        """Of the seeds of the level, the one whose validation score is best; of equals the first.

        The level was picked by its mean over the seeds, and one network is shipped.
        """
        return shipped_point(self)

    def export(
        self,
        path: str | os.PathLike[str] | None = None,
        build: Builder | None = None,
        *,
        to: str | None = None,
    ) -> Path:
        """Write the network to a file, its empty channels taken out, as `secateur export` does.

        Args:
            path: The file, of the kind that its suffix says: `.safetensors`, `.onnx` or `.pt2`.
                `RUN/exports/METHOD-LEVEL-SEED.*` if None.
            build: The function that built the study's network, or its path. Not needed for a
                reference net, nor for what `sweep` has just given.
            to: The kind, where the path does not say it.

        Returns:
            Where it is.

        Raises:
            UsageError: No level meets what was asked for, or the builder is not known; a point in
                INT8 is asked for as another file than ONNX, or its data cannot be read without
                the study file (`secateur export --study`).
            ArtifactError: The file cannot be written, or the path is of another kind.
        """
        store = Store(self.folder)
        point = self._met()
        net = source_of(store, point)
        is_int8 = net != point
        kind = format_of(path, to or ("onnx" if is_int8 and path is None else None), OPERATION)
        if is_int8 and kind != "onnx":
            raise self._in_int8(f"asked for as a {kind} file", "Give a path that ends in .onnx")
        name = file_for(store, net, kind, "int8" if is_int8 else "")
        target = name if path is None else Path(path)
        check_target(target)
        made = point_net(store, net, build or self.builder)
        make_folder(target.parent)
        if is_int8:
            from secateur.study.int8 import measuring, quantised

            quantised(made, measuring(store, build or self.builder), target, seconds=0)
        else:
            made.write(target, kind)
        return target

    def load(self, build: Builder | None = None) -> nn.Module:
        """The network itself, its empty channels taken out, on the CPU, in evaluation mode.

        Args:
            build: As of `export`.

        Raises:
            UsageError: As `export`; or what was picked is in INT8, which is a file and no network.
        """
        store = Store(self.folder)
        point = self._met()
        if source_of(store, point) != point:
            raise self._in_int8("asked for as a network", "Export it as an ONNX file (.export())")
        return point_net(store, point, build or self.builder).small

    def _in_int8(self, given: str, way: str) -> UsageError:
        return UsageError(
            OPERATION,
            f"{self.point.method} {self.point.level_name}",
            given=given,
            expected="an ONNX file, as what is quantised is",
            remedy=f"{way}, or take the point that was quantised, without `{SUFFIX}`.",
        )

    def _met(self) -> Point:
        """The point to ship.

        Raises:
            UsageError: No level meets what was asked for.
        """
        if self.met:
            return self.point
        raise UsageError(
            OPERATION,
            "the pick",
            given=f"none: {str(self).rstrip('.')}",
            expected="a level that meets what is asked for",
            remedy="Ask for less, or name a point by itself (--point).",
        )
