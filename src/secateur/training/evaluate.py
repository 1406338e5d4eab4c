"""Scoring a classifier of images: how many of a split it gets right."""

from __future__ import annotations

import torch
from torch import nn

from secateur.data.batches import batches
from secateur.data.images import ImageData
from secateur.data.split import Split
from secateur.foundation.evaluation_mode import evaluation_mode
from secateur.point import Share
from secateur.tasks.classification import RightAnswers

_BATCH = 256


def evaluate(model: nn.Module, data: ImageData, split: Split, batch_size: int = _BATCH) -> Share:
    """Count correct answers over a whole split, the last short batch included.

    For other data and metrics see `secateur.training.score`.

    Args:
        model: Left where it is, with its training flags as they were; batches come to its device.
        data: Gives the normalisation.
        split: Usually `data.val` or `data.test`.
        batch_size: Images at a time; no result depends on it but by rounding.

    Returns:
        Correct answers of all images, as integers. An answer that is NaN counts as wrong.
    """
    weights = next(model.parameters(), split.labels)
    right = RightAnswers()
    with evaluation_mode(model), torch.inference_mode():
        for images, labels in batches(data, split, batch_size, memory_format=torch.channels_last):
            right.update(model(images.to(weights.device)), (images, labels))
    return right.share
