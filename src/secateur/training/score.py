"""Scoring: what a task measures of a net on one split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from secateur.data.data import Data, SplitName
from secateur.errors import TrainingError
from secateur.foundation.evaluation_mode import evaluation_mode
from secateur.point import Score
from secateur.tasks.task import Quality, Task, forward

_BATCH = 256


def score(
    model: nn.Module,
    data: Data,
    split: SplitName,
    task: Task,
    batch_size: int = _BATCH,
) -> tuple[Score, ...]:
    """Measure a net on a whole split, the last short batch included.

    Args:
        model: Left where it is, with its training flags as they were.
        data: On the net's device.
        split: Its name.
        task: Says what is measured.
        batch_size: Examples at a time, where the task does not say.

    Returns:
        One score for each of the task's qualities, in their order.

    Raises:
        TrainingError: A metric is missing, or not finite.
    """
    meter = task.meter(data)
    with evaluation_mode(model), torch.inference_mode():
        for batch in data.batches(split, task.evaluation_batch or batch_size):
            meter.update(forward(model, batch[0]), batch)
    return scores_of(task.qualities, split, dict(meter.values()))


def scores_of(
    qualities: Sequence[Quality], split: SplitName, values: Mapping[str, Any]
) -> tuple[Score, ...]:
    """The values of metrics, each with its row.

    Args:
        qualities: Which there are.
        split: What they were measured on.
        values: A number or a share for each, by its word; more are refused.

    Raises:
        TrainingError: One is missing, unknown, or not finite.
    """
    words = [one.metric for one in qualities]
    for name in (*words, *values):
        if name not in values or name not in words:
            raise TrainingError(
                "measuring a net",
                f"the metric {name!r}",
                given="not among those measured" if name not in values else "not the task's",
                expected=f"a number for each of {', '.join(words)}",
                remedy="Return a mapping with exactly these names; `quality` in a study file, or "
                "the task, says which they are.",
            )
    return tuple(one.score(split, values[one.metric]) for one in qualities)
