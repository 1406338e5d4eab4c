"""Segmentation: one class for each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from secateur.data.data import Batch, Data
from secateur.errors import DataError
from secateur.point import Share
from secateur.tasks.soft_targets import soft_loss
from secateur.tasks.task import Quality, Task, answer, target_of, targets_of, wrong_output


class Segmentation(Task):
    """Cross-entropy of each pixel is minimised; mean intersection over union chooses.

    The net gives `[B, classes, H, W]` (or with other axes of space), the target is int64
    `[B, H, W]`.

    Args:
        ignore: The label of pixels that count for nothing.
    """

    qualities = (
        Quality("miou", higher=True, label="mean IoU"),
        Quality("pixel_accuracy", higher=True, label="pixel accuracy", unit="share"),
    )
    libraries = ("torchmetrics",)

    def __init__(self, ignore: int = 255) -> None:
        self._ignore = ignore

    def loss(self, output: Any, batch: Batch) -> Tensor:
        """Cross-entropy, mean over the pixels that count."""
        scores, target = _pair(output, batch)
        return functional.cross_entropy(scores, target, ignore_index=self._ignore)

    def terms(self, batch: Batch) -> int:
        """The pixels that count."""
        return int((target_of(batch) != self._ignore).sum())

    def distillation(self, output: Any, taught: Any, batch: Batch, temperature: float) -> Tensor:
        """The divergence of the softened classes, mean over the pixels that count."""
        scores, target = _pair(output, batch)
        counts = target != self._ignore
        ours, theirs = (one.movedim(1, -1)[counts] for one in (scores, _pair(taught, batch)[0]))
        return soft_loss(ours, theirs, temperature)

    def meter(self, data: Data) -> _Pixels:
        """Counts pixels."""
        return _Pixels(_classes(data), self._ignore)

    def check(self, data: object, operation: str) -> Data:
        """Data that say how many classes they have."""
        found = super().check(data, operation)
        _classes(found)
        return found

    def check_output(self, output: Any, batch: Batch, data: Data, *, exactly: bool = False) -> None:
        """A score for each class and pixel."""
        found, classes = _pair(output, batch)[0].shape[1], _classes(data)
        if found < classes or (exactly and found != classes):
            raise wrong_output(
                f"of {found} scores for each pixel",
                f"{classes}",
                "Build the model for the data's number of classes.",
            )

    def baseline(self, data: Data) -> float:
        """The mean IoU of naming one class everywhere: the most frequent of the split."""
        labels = targets_of(data, "val").flatten()
        counts = torch.bincount(labels[labels != self._ignore])
        present = int((counts > 0).sum())
        return float(counts.max()) / int(counts.sum()) / present


def _classes(data: Data) -> int:
    found = data.traits().get("classes")
    if isinstance(found, int):
        return found
    raise DataError(
        "checking the data of a segmentation",
        data.name,
        given="without their number of classes",
        expected="data that say it",
        remedy="Pass classes= to the function that makes the data.",
    )


def _pair(output: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    scores, target = answer(output), target_of(batch)
    expected = (*target.shape[:1], *target.shape[1:])
    if scores.dim() != target.dim() + 1 or (scores.shape[0], *scores.shape[2:]) != expected:
        raise wrong_output(
            f"of shape {tuple(scores.shape)}",
            f"[{target.shape[0]}, classes, {', '.join(map(str, target.shape[1:]))}]",
            "Return one score for each class and pixel, at the size of the target.",
        )
    return scores, target


class _Pixels:
    """Mean IoU by torchmetrics, and right pixels of those that count."""

    def __init__(self, classes: int, ignore: int) -> None:
        from torchmetrics import JaccardIndex

        self._ignore = ignore
        self._miou = JaccardIndex(task="multiclass", num_classes=classes, ignore_index=ignore)
        self._right = self._total = 0

    def update(self, output: Any, batch: Batch) -> None:
        scores, target = (one.detach().cpu() for one in _pair(output, batch))
        named = scores.argmax(1)
        counts = target != self._ignore
        self._right += int(((named == target) & counts).sum())
        self._total += int(counts.sum())
        self._miou.update(named, target)

    def values(self) -> Mapping[str, float | Share]:
        share = Share(self._right, self._total)
        return {"miou": float(self._miou.compute()), "pixel_accuracy": share}
