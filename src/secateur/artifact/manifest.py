"""The manifest: what a model file says about itself, as JSON in the header.

Plain data, checked field by field when it is read; nothing in it is ever opened, imported or run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from secateur.artifact.error import damaged
from secateur.artifact.json_text import check_amount, unique
from secateur.errors import ArtifactError

KEY = "secateur"
"""The metadata entry that holds the manifest."""

VERSION = 1
"""Of the format that this secateur writes."""

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Version -> what makes a manifest of the next version of it."""

Ranges = Annotated[
    str, Field(pattern=r"^([0-9]{1,18}(-[0-9]{1,18})?(,[0-9]{1,18}(-[0-9]{1,18})?)*)?$")
]
Size = Annotated[int, Field(ge=0, lt=1 << 62)]
Number = Annotated[int, Field(gt=-(1 << 62), lt=1 << 62)]


Role = Literal["conv", "linear", "buffer", "transient", ""]
"""A prunable weight of a convolution or of another layer; a buffer, or one of no state dict."""

_USUAL_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


_Given = Literal["tensor", "like", "none"]
_MOST_GIVEN = 64


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class CodedTensor(_Part):
    """A tensor that is stored zero-coded (see `coding`).

    Attributes:
        dtype: The container's name for its type.
        shape: Its shape.
        zeros: Elements that compare equal to 0.
        nonzero: Elements with a bit set.
        gaps: Length of the gap stream.
        frames: Compressed lengths of the streams.
    """

    dtype: str
    shape: list[Size]
    zeros: Size
    nonzero: Size
    gaps: Size
    frames: list[Size]


class Source(_Part):
    """Who builds the dense network.

    Attributes:
        name: A reference net, or the user's `package.module:function`: a hint for people, which
            is never imported on the word of a file.
        shape: Channels, height, width that it was built for.
        classes: Its classes.
        options: Its builder's further arguments.
    """

    name: str
    shape: list[Size] = []
    classes: Size = 0
    options: dict[str, JsonValue] = {}


class LayerMacs(_Part):
    """Multiply-adds of one module for one example.

    Attributes:
        kind: The module's class.
        macs: As it runs.
        nonzero: Those with a weight that is not zero.
    """

    kind: str
    macs: Size
    nonzero: Size


class SkippedModule(_Part):
    """A module of a residual branch that was taken out.

    Attributes:
        form: What stands for it gives: `tensor`, `like` (of its input's shape in training), or a
            list of these and `none` for a tuple.
        parameters: How many it had in the dense network.
    """

    form: _Given | Annotated[list[_Given], Field(max_length=_MOST_GIVEN)]
    parameters: Size = 0


class Manifest(_Part):
    """What a model file says about itself.

    Attributes:
        version: Of the format.
        coded: Zero-coded tensors; all others lie in the container as they are.
        tied: Further names of tensors that are stored once.
        strides: Of tensors that do not lie row by row (channels_last).
        roles: What a tensor is, where `usual_role` does not guess it.
        attributes: By module, the numbers that surgery may have changed.
        dense: By tensor, its shape before channels were taken out.
        kept: Lists of kept indices, each written as ranges: `0-3,7`.
        slots: By tensor and axis, which of `kept` it is; an axis that lost nothing is not there.
        skipped: By module, those that were taken out with a residual branch.
        masks: By parameter, elements kept and all elements, of the masks.
        input: Shape of one example, without the batch.
        layers: By module, what it multiplies.
        source: Who builds the network.
        run: Where it came from: digest, method, level, seed.
        metrics: Numbers to keep with it.
    """

    version: int
    coded: dict[str, CodedTensor] = {}
    tied: dict[str, str] = {}
    strides: dict[str, list[Size]] = {}
    roles: dict[str, Role] = {}
    attributes: dict[str, dict[str, Number | list[Number]]] = {}
    dense: dict[str, list[Size]] = {}
    kept: list[Ranges] = []
    slots: dict[str, dict[str, Size]] = {}
    skipped: dict[str, SkippedModule] = {}
    masks: dict[str, tuple[Size, Size]] = {}
    input: list[Size] = []
    layers: dict[str, LayerMacs] = {}
    source: Source | None = None
    run: dict[str, JsonValue] = {}
    metrics: dict[str, JsonValue] = {}

    def to_text(self) -> str:
        """As compact JSON; what says nothing is left out."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_text(cls, path: Path, text: str) -> Manifest:
        """Read a manifest of this version, or of an older one.

        Args:
            path: The file, for messages.
            text: The JSON.

        Raises:
            ArtifactError: It is damaged, or of a version that this secateur does not know.
        """
        check_amount(path, text)
        try:
            fields = json.loads(
                text, parse_float=_finite, parse_constant=_finite, object_pairs_hook=unique
            )
            version = fields["version"]
        except (ValueError, RecursionError) as error:
            raise damaged(path, f"a manifest that is no JSON ({error})"[:300], "JSON") from None
        except (LookupError, TypeError):
            raise damaged(path, "a manifest without a version", "one") from None
        if type(version) is not int or version != VERSION:
            text = json.dumps(_migrated(path, fields, version))
        del fields  # it is read once more into what checks each field: not both at a time
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))[:80]
            raise damaged(path, f"a manifest with a bad {where!r}", first["msg"]) from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no finite number")
    return value


def _migrated(path: Path, fields: dict[str, Any], version: object) -> dict[str, Any]:
    while type(version) is int and version in MIGRATIONS:
        fields = MIGRATIONS[version](fields)
        version = fields["version"]
    if type(version) is not int or version != VERSION:
        raise ArtifactError(
            "reading a model file",
            str(path),
            given=f"written in format {str(version)[:20]}",
            expected=f"format {VERSION} or older",
            remedy="Install the version of secateur that wrote it, or a newer one.",
        )
    return fields


def to_ranges(indices: list[int]) -> str:
    """Ascending indices as text.

    Example:
        >>> to_ranges([0, 1, 2, 5, 7, 8])
        '0-2,5,7-8'
    """
    runs: list[list[int]] = []
    for index in indices:
        if runs and runs[-1][1] + 1 == index:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def count_ranges(text: str) -> int:
    """How many indices `to_ranges` wrote.

    Raises:
        ValueError: It did not write this.

    Example:
        >>> count_ranges("0-2,5,7-8")
        6
    """
    count = 0
    for run in filter(None, text.split(",")):
        first, _, last = run.partition("-")
        count += int(last or first) - int(first) + 1
    return count


def bounds_of_ranges(text: str) -> tuple[int, int, bool]:
    """The first and the last index that `to_ranges` wrote, and whether all of them ascend.

    Example:
        >>> bounds_of_ranges("0-2,5,7-8"), bounds_of_ranges("3,1-2")
        ((0, 8, True), (3, 2, False))
    """
    last, ascending, first = -1, True, None
    for run in filter(None, text.split(",")):
        begin, _, end = run.partition("-")
        ascending = ascending and last < int(begin) <= int(end or begin)
        first, last = int(begin) if first is None else first, int(end or begin)
    return first or 0, last, ascending


def usual_role(name: str, shape: Sequence[int]) -> Role:
    """What a tensor is, judging by its name and its axes.

    Example:
        >>> usual_role("conv1.weight", (8, 3, 3, 3)), usual_role("bn.running_mean", (8,))
        ('conv', 'buffer')
    """
    leaf = name.rpartition(".")[2]
    if leaf in _USUAL_BUFFERS:
        return "buffer"
    if leaf != "weight" or len(shape) < 2:
        return ""
    return "conv" if len(shape) > 2 else "linear"
