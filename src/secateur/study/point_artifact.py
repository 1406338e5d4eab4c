"""Point artifact: a point's network as the file that outlives its study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secateur.artifact.manifest import Source
from secateur.artifact.save import save, saved_size
from secateur.channels import compact_with_record
from secateur.errors import ArtifactError, ChannelError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from secateur.channels.compaction.record import Compaction
    from secateur.data.data import Data
    from secateur.foundation.run_example import Inputs
    from secateur.point import Point
    from secateur.pruning.masks import Masks
    from secateur.spec import StudySpec

# What was counted and scored; times belong to the machine that measured them.
_METRICS = (
    "sparsity", "conv_sparsity", "model_sparsity", "parameters", "nonzero",
    "masked_macs", "compact_parameters", "macs", "nonzero_macs", "epochs",
)  # fmt: skip


def compaction_of(net: nn.Module, masks: Masks, example: Inputs) -> Compaction | ChannelError:
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
    example: Inputs,
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
    model, told = _as_saved(study, source, point, net, small, example)
    save(model, path, masks, **told)


def _as_saved(
    study: str,
    source: Source,
    point: Point,
    net: nn.Module,
    small: Compaction | ChannelError,
    example: Inputs,
) -> tuple[nn.Module, dict[str, Any]]:
    """What of a point is saved, and what is said of it in the file."""
    record = None if isinstance(small, ChannelError) else small
    values = point.to_dict()
    told = {
        "metrics": {**_scores(point), **{name: values[name] for name in _METRICS}},
        "dense": net,
        "kept": None if record is None else record.kept,
        "example_inputs": example,
        "source": source,
        "run": {
            "study": study,
            "digest": point.digest,
            "method": point.method,
            "level": list(point.level),
            "seed": point.seed,
        },
    }
    return net if record is None else record.model.eval(), told


def _scores(point: Point) -> dict[str, Any]:
    """Of accuracy the two shares, as ever; of any other score its value by name."""
    return {
        one.split if one.metric == "accuracy" else one.name: (
            one.value if one.share is None else {"part": one.part, "total": one.total}
        )
        for one in point.scores
    }


def source_of(study: StudySpec, data: Data) -> Source:
    """What builds a study's net, as a file says it."""
    return Source(
        name=study.model.name,
        shape=list(data.traits().get("shape", ())),
        classes=data.traits().get("classes", 0),
        options=study.model.options,
    )


def artifact_bytes(
    study: StudySpec,
    point: Point,
    net: nn.Module,
    masks: Masks,
    small: Compaction | ChannelError,
    data: Data,
    example: Inputs,
) -> int | None:
    """The size of the file that `write_artifact` writes; nothing is written for it.

    Returns:
        None for a net that the file cannot hold: its run is no failure for that.
    """
    model, told = _as_saved(study.name, source_of(study, data), point, net, small, example)
    try:
        return saved_size(model, masks, **told)
    except ArtifactError:
        return None
