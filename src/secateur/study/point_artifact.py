"""Point artifact: a point's network as the file that outlives its study."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from secateur.artifact.manifest import Source
from secateur.artifact.save import save
from secateur.channels import compact_with_record
from secateur.errors import ArtifactError, ChannelError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from secateur.channels.compaction.record import Compaction
    from secateur.data.images import ImageData
    from secateur.point import Point
    from secateur.pruning.masks import Masks
    from secateur.spec import StudySpec

# What was counted and scored; times belong to the machine that measured them.
_METRICS = (
    "val", "test", "sparsity", "conv_sparsity", "model_sparsity", "parameters", "nonzero",
    "masked_macs", "compact_parameters", "macs", "nonzero_macs", "epochs",
)  # fmt: skip


def compaction_of(net: nn.Module, masks: Masks, example: Tensor) -> Compaction | ChannelError:
    """A point's net without its empty channels, or why they have to stay.

    Args:
        net: The pruned net, in evaluation mode.
        masks: Its masks; empty where nothing was pruned.
        example: A batch that it accepts.
    """
    try:
        return compact_with_record(net, masks, example)
    except ChannelError as error:
        return error


def write_artifact(
    path: Path,
    study: str,
    source: Source,
    point: Point,
    net: nn.Module,
    masks: Masks,
    small: Compaction | ChannelError,
    example: Tensor,
) -> None:
    """Write what `secateur export --to safetensors` writes.

    Args:
        path: The file; replaced whole.
        study: Its name.
        source: What builds the net.
        point: What was measured of the net.
        net: The net before any channel is removed.
        masks: Its masks.
        small: What `compaction_of` gave.
        example: A batch that the net accepts.

    Raises:
        ArtifactError: It cannot be written.
    """
    record = None if isinstance(small, ChannelError) else small
    values = point.to_dict()
    save(
        net if record is None else record.model.eval(),
        path,
        masks,
        {name: values[name] for name in _METRICS},
        dense=net,
        kept=None if record is None else record.kept,
        example_inputs=example,
        source=source,
        run={
            "study": study,
            "digest": point.digest,
            "method": point.method,
            "level": list(point.level),
            "seed": point.seed,
        },
    )


def source_of(study: StudySpec, data: ImageData) -> Source:
    """What builds a study's net, as a file says it."""
    return Source(
        name=study.model.name,
        shape=list(data.shape),
        classes=data.classes,
        options=study.model.options,
    )


def artifact_bytes(
    study: StudySpec,
    point: Point,
    net: nn.Module,
    masks: Masks,
    small: Compaction | ChannelError,
    data: ImageData,
    example: Tensor,
) -> int | None:
    """The size of the file that `write_artifact` writes, by writing it and taking it away.

    Returns:
        None for a net that the file cannot hold: its run is no failure for that.
    """
    with tempfile.TemporaryDirectory(prefix="secateur-") as folder:
        path = Path(folder, "point.safetensors")
        try:
            source = source_of(study, data)
            write_artifact(path, study.name, source, point, net, masks, small, example)
        except ArtifactError:
            return None
        return path.stat().st_size
