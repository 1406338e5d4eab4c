"""Classification: one score for each class, one class for each example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from secateur.data.data import Batch, Data
from secateur.point import Share
from secateur.tasks.soft_targets import soft_loss
from secateur.tasks.task import (
    Quality,
    Task,
    answer,
    own_loss,
    target_of,
    targets_of,
    wrong_output,
)

ACCURACY = Quality("accuracy", higher=True, label="accuracy", unit="share")


class Classification(Task):
    """Cross-entropy is minimised, right answers are counted.

    The net gives `[B, classes]` or more columns; the target is int64 `[B]`.

    Example:
        >>> meter = Classification().meter(None)
        >>> scores = torch.tensor([[0.1, 0.9], [0.8, 0.2]])
        >>> meter.update(scores, (None, torch.tensor([1, 1])))
        >>> meter.values()
        {'accuracy': Share(part=1, total=2)}
    """

    qualities = (ACCURACY,)
    evaluation_batch: int | None = 256

    def loss(self, output: Any, batch: Batch) -> Tensor:
        """Cross-entropy, mean over the batch."""
        scores, labels = answer(output), target_of(batch)
        if scores.dim() != 2 or len(scores) != len(labels):
            raise wrong_output(
                f"of shape {tuple(scores.shape)}",
                f"[{len(labels)}, classes], one score for each class",
                "Build the model for the data's number of classes.",
            )
        return functional.cross_entropy(scores, labels)

    def distillation(self, output: Any, taught: Any, batch: Batch, temperature: float) -> Tensor:
        """The divergence of the softened classes."""
        del batch
        return soft_loss(answer(output), answer(taught), temperature)

    def meter(self, data: Data) -> RightAnswers:
        """Counts right answers."""
        del data
        return RightAnswers()

    def baseline(self, data: Data) -> Share:
        """Always naming the most frequent class of the validation split."""
        labels = targets_of(data, "val")
        return Share(int(torch.bincount(labels).max()), len(labels))

    def check_output(self, output: Any, batch: Batch, data: Data, *, exactly: bool = False) -> None:
        """As many scores as the data have classes, in floating point."""
        labels, scores = target_of(batch), answer(output)
        classes = data.traits().get("classes", 1 + int(labels.max()))
        wide = scores.dim() == 2 and scores.shape[1] >= classes
        if exactly and wide and "classes" in data.traits():
            wide = scores.shape[1] == classes
        if not wide or len(scores) != len(labels):
            raise wrong_output(
                f"of shape {tuple(scores.shape)} for {len(labels)} examples",
                f"{(len(labels), classes)}, one score for each class",
                "Build the model for the data's number of classes, or choose another task.",
            )
        if not scores.is_floating_point():
            raise wrong_output(
                f"of {str(scores.dtype).removeprefix('torch.')}",
                "real numbers, one score for each class",
                "Return the scores themselves, and not the classes that they choose.",
            )


class SequenceClassification(Classification):
    """Classification of sequences by nets that are fed by keyword, as in `transformers`.

    The inputs are a mapping (`input_ids`, `attention_mask`, ...), with `labels` among them or as
    the target beside them. The net's own loss is minimised where it gives one.
    """

    evaluation_batch = None

    def loss(self, output: Any, batch: Batch) -> Tensor:
        """The net's own loss, or cross-entropy."""
        found = own_loss(output)
        return super().loss(output, batch) if found is None else found


class RightAnswers:
    """A count of right answers, in whole numbers; an answer that is NaN is wrong."""

    def __init__(self) -> None:
        self._right: Tensor | None = None
        self._total = 0

    def update(self, output: Any, batch: Batch) -> None:
        """Take the scores of a batch."""
        scores = answer(output)
        labels = target_of(batch).to(scores.device)
        # argmax takes NaN for the largest.
        named = scores.argmax(dim=1) == labels
        right = (named & ~torch.isnan(scores).any(dim=1)).sum()
        self._right = right if self._right is None else self._right + right
        self._total += len(labels)

    @property
    def share(self) -> Share:
        """Right answers of all."""
        return Share(0 if self._right is None else int(self._right), self._total)

    def values(self) -> Mapping[str, Share]:
        """The accuracy."""
        return {"accuracy": self.share}
