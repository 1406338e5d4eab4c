"""Before training: a net of a study that was just cut is mended, and scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import nn

from secateur.data.data import Batch, Data
from secateur.point import Score
from secateur.pruning.masks import Masks
from secateur.pruning.repair import mend
from secateur.study.job import Job
from secateur.study.method_settings import training_for
from secateur.tasks.task import forward
from secateur.training.device import resolve_device
from secateur.training.fit import stream

REPAIR_EXAMPLES = 2048
"""How many training examples a repair goes through, at most."""


def repair_cut(model: nn.Module, masks: Masks, job: Job, data: Data) -> None:
    """Mend a net that was just cut, in the ways of the study's `[training] repair`.

    Each kind goes through the first `REPAIR_EXAMPLES` of the training split, shuffled as in
    training: what a repair fits has few numbers, and more examples mend no more.
    `Epochs.statistics` counts each of its passes as a whole epoch all the same.

    Args:
        model: On the CPU, where it is left.
        masks: The cut; nothing is done where nothing was cut.
        job: The run.
        data: The study's.

    Raises:
        SecateurError: A kind cannot be done; the message says why.
    """
    training = training_for(job.study, job.run.method)
    if not training.repair or not masks:
        return
    seed = stream(job.run.seed, "repair", job.run.depth)
    batches = TrainingSplit(data, training.batch_size, seed, REPAIR_EXAMPLES)
    model.to(resolve_device(job.device))
    mend(model, masks, batches, training.repair, lambda net, batch: forward(net, batch[0]))
    model.cpu()


def score_before(model: nn.Module, job: Job, data: Data) -> tuple[Score, ...]:
    """What a net scores on the validation split before any retraining.

    Args:
        model: On the CPU, where it is left.
        job: The run.
        data: The study's.

    Returns:
        Its scores; none where it cannot be scored, as a net that was cut to pieces may give
        numbers that are not finite, and will be retrained all the same.
    """
    model.to(resolve_device(job.device))
    try:
        found = job.setup.loop().score(model, data, "val", job.study.training.batch_size)
    except Exception:  # of the user's own measuring, too: the run does not depend on it
        found = ()
    model.cpu()
    return as_before(found)


def as_before(scores: Iterable[Score]) -> tuple[Score, ...]:
    """Scores on the validation split, as those before any retraining."""
    return tuple(replace(one, split="before") for one in scores)


@dataclass(frozen=True)
class TrainingSplit:
    """The training split, the same at each pass: shuffled by the seed, or in order.

    Where `most` is set, batches stop once there have been so many examples.
    """

    data: Data
    batch_size: int
    seed: int | None = None
    most: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        order = None if self.seed is None else torch.Generator().manual_seed(self.seed)
        batches = self.data.batches("train", self.batch_size, generator=order)
        count = None if self.most is None else math.ceil(self.most / self.batch_size)
        return islice(batches, count)
