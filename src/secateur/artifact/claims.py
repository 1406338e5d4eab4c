"""Claims: what a model file says of itself, held against what lies in it.

A checksum says that nothing was changed since it was written, and nothing of who wrote it.
"""

from __future__ import annotations

from typing import NoReturn

from secateur.artifact.error import damaged
from secateur.artifact.manifest import bounds_of_ranges, count_ranges
from secateur.artifact.reader import Reader

_BUFFERS = ("buffer", "transient")


def check_claims(file: Reader) -> None:
    """Refuse a file whose counts contradict its tensors, or each other.

    Zeros are counted where they are shown (`Reader.count_zeros`). What the file alone does not
    tell (multiply-adds, shapes before channels went) is bounded by what it does.

    Args:
        file: An open model file.

    Raises:
        ArtifactError: Some do; the first is named.
    """
    for name in file.manifest.dense:
        _check_dense(file, name)
    for name, axes in file.manifest.slots.items():
        for axis, number in axes.items():
            _check_channels(file, name, axis, file.manifest.kept[number])
    for name, (kept, total) in file.manifest.masks.items():
        if kept > total:
            _refuse(file, f"a mask of {name!r:.80} that keeps {kept:,}", f"at most its {total:,}")
    for name, layer in file.manifest.layers.items():
        if layer.nonzero > layer.macs:
            given = f"{name!r:.80} with {layer.nonzero:,} multiply-adds that are not zero"
            _refuse(file, given, f"at most its {layer.macs:,}")


def _check_dense(file: Reader, name: str) -> None:
    """Channels go, and none come; but a buffer may be of any shape."""
    before, now = file.manifest.dense[name], file.shape(name)
    grew = any(old < new for old, new in zip(before, now, strict=True))
    if grew and file.manifest.roles.get(name) not in _BUFFERS:
        _refuse(file, f"{name!r:.80} of shape {list(now)[:8]}", f"at most {before[:8]}, as before")


def _check_channels(file: Reader, name: str, axis: str, ranges: str) -> None:
    shape = file.shape(name) if name in file.names else ()
    place = int(axis) if axis.isdecimal() and len(axis) < 3 else len(shape)
    if place >= len(shape):
        _refuse(file, f"channels of axis {axis[:20]!r} of {name!r:.80}", "an axis that it has")
    first, last, ascending = bounds_of_ranges(ranges)
    before = file.manifest.dense.get(name)
    if not ascending or (before and last >= before[place]):
        size = "" if before is None else f" below {before[place]:,}"
        _refuse(file, f"channels {first} to {last} of {name!r:.80}", f"ascending ones{size}")
    if count_ranges(ranges) != shape[place]:
        given = f"{count_ranges(ranges):,} channels of {name!r:.80}"
        _refuse(file, given, f"the {shape[place]:,} that it has")


def _refuse(file: Reader, given: str, expected: str) -> NoReturn:
    raise damaged(file.container.path, given, expected)
