"""Scoring: how many images of a split a network gets right."""

from __future__ import annotations

import torch
from torch import nn

from secateur.data.batches import batches
from secateur.data.images import ImageData, Split
from secateur.foundation.evaluation_mode import evaluation_mode
from secateur.point import Share

_BATCH = 256


def evaluate(model: nn.Module, data: ImageData, split: Split, batch_size: int = _BATCH) -> Share:
    """Count correct answers over a whole split, the last short batch included.

    Args:
        model: Left where it is, with its training flags as they were; batches come to its device.
        data: Gives the normalisation.
        split: Usually `data.val` or `data.test`.
        batch_size: Images at a time; no result depends on it but by rounding.

    Returns:
        Correct answers of all images, as integers. An answer that is NaN counts as wrong.
    """
    weights = next(model.parameters(), split.labels)
    correct = torch.zeros((), dtype=torch.int64, device=weights.device)
    with evaluation_mode(model), torch.inference_mode():
        for images, labels in batches(data, split, batch_size, memory_format=torch.channels_last):
            logits = model(images.to(weights.device))
            # argmax takes NaN for the largest.
            named = logits.argmax(dim=1) == labels.to(weights.device)
            right = named & ~torch.isnan(logits).any(dim=1)
            correct += right.sum()
    return Share(int(correct), len(split))
