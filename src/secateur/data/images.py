"""Images and their labels, held in memory, in three splits that never mix."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from secateur.data.batches import batches
from secateur.data.data import Batch, SplitName, check_split
from secateur.data.split import Split
from secateur.errors import DataError


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set of images for classification; make one with `image_data`, which checks it.

    Attributes:
        name: What to call it in reports.
        train: What the weights are fitted to.
        val: What choices are made on.
        test: What is scored once and chooses nothing.
        classes: Labels lie in `0 .. classes - 1`.
        mean: Per channel, of `images / 255` over the training split.
        std: Per channel, likewise; 1 for a channel that never varies.
        flip: Mirror training images left to right with probability 1/2.
        crop: Shift training images by up to this many pixels each way, black filling in.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool = False
    crop: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> ImageData:
        """The same data with every tensor on `device`."""
        return replace(
            self, train=self.train.to(device), val=self.val.to(device), test=self.test.to(device)
        )

    version: ClassVar[str] = ""
    """Images in memory are named by their contents."""

    def split(self, name: SplitName) -> Split:
        """The split of a name."""
        found: Split = getattr(self, check_split(name))
        return found

    def size(self, split: SplitName) -> int:
        """How many images a split has."""
        return len(self.split(split))

    def batches(
        self, split: SplitName, batch_size: int, *, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Images in channels_last and their labels; see `secateur.data.batches`."""
        return batches(
            self,
            self.split(split),
            batch_size,
            generator=generator,
            memory_format=torch.channels_last,
        )

    def traits(self) -> dict[str, Any]:
        """The shape of an image, and the number of classes."""
        return {"shape": self.shape, "classes": self.classes}

    def fingerprint(self) -> str:
        """SHA-256, in hex, of everything that a result could depend on, wherever it is held.

        The name and the device do not count; every pixel, label and setting does.
        """
        digest = hashlib.sha256()
        settings = (self.classes, self.mean, self.std, self.flip, self.crop)
        digest.update(repr(settings).encode())
        for split in (self.train, self.val, self.test):
            digest.update(repr(tuple(split.images.shape)).encode())
            digest.update(split.images.cpu().contiguous().numpy().data)
            digest.update(split.labels.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def normalise(
        self, images: Tensor, memory_format: torch.memory_format = torch.contiguous_format
    ) -> Tensor:
        """Turn uint8 images into the float32 a network reads: `(images / 255 - mean) / std`.

        Args:
            images: uint8, `[N, C, H, W]`.
            memory_format: How the result lies in memory.

        Returns:
            float32, `[N, C, H, W]`.
        """
        shift, scale = self._affine
        # In this order: arithmetic in place, and the layout last, is three times as fast on a CPU
        # as `Tensor.to(torch.float32, memory_format=...)` with the arithmetic after it.
        floats = images.to(torch.float32, memory_format=torch.contiguous_format)
        return floats.sub_(shift).mul_(scale).contiguous(memory_format=memory_format)

    def example(self, count: int = 1) -> Tensor:
        """The first `count` validation images, normalised: something to trace a network with."""
        return self.normalise(self.val.images[:count])

    @cached_property
    def _affine(self) -> tuple[Tensor, Tensor]:
        """Shift and scale on the images' device, so that no batch waits for a copy."""
        device = self.train.images.device
        shift = torch.tensor([255 * mean for mean in self.mean], device=device)
        scale = torch.tensor([1 / (255 * std) for std in self.std], device=device)
        return shift.view(-1, 1, 1), scale.view(-1, 1, 1)


ELSEWHERE = (
    "Data that are no images with a class each are made by from_tensors, from_datasets or "
    "from_loaders; see the guide, Data."
)
"""What to do with anything else, in words."""


def image_data(
    name: str,
    *,
    train: Split,
    val: Split,
    test: Split,
    classes: int,
    flip: bool = False,
    crop: int = 0,
) -> ImageData:
    """Check three splits, measure the training split's mean and deviation, and bind them.

    Args:
        name: What to call the data in reports and messages.
        train: Fitted to; the only split whose pixels set `mean` and `std`.
        val: Chosen on.
        test: Scored once.
        classes: How many classes there are.
        flip: Mirror training images with probability 1/2.
        crop: Pixels by which training images are shifted, at most.

    Raises:
        DataError: A split is empty, a tensor has the wrong type or shape, the splits' images
            differ in shape, or a label is outside the classes.

    Example:
        >>> split = Split(torch.full((2, 1, 4, 4), 51, dtype=torch.uint8), torch.tensor([0, 1]))
        >>> data = image_data("grey", train=split, val=split, test=split, classes=2)
        >>> data.shape, data.mean
        ((1, 4, 4), (0.2,))
        >>> image_data("grey", train=split, val=split, test=split, classes=1)
        Traceback (most recent call last):
        ...
        secateur.errors.DataError: checking grey: the label of train image 1 is 1, \
expected 0 <= label < 1. Correct the label, or the number of classes.
    """
    operation = f"checking {name}"
    _check_settings(operation, classes, crop)
    for part, split in (("train", train), ("val", val), ("test", test)):
        _check_tensors(operation, part, split)
        _check_labels(operation, part, split.labels, classes)
        if split.images.shape[1:] != train.images.shape[1:]:
            raise DataError(
                operation,
                f"the shape of {part} images",
                given=_times(split.images.shape[1:]),
                expected=f"{_times(train.images.shape[1:])} as in train",
                remedy="Bring all images to one size and number of channels.",
            )
    mean, std = _mean_and_std(train.images)
    return ImageData(name, train, val, test, classes, mean, std, flip, crop)


def _check_settings(operation: str, classes: int, crop: int) -> None:
    for subject, value, least in (("classes", classes, 1), ("crop", crop, 0)):
        if value < least:
            raise DataError(
                operation,
                subject,
                given=str(value),
                expected=f"at least {least}",
                remedy="Correct the option.",
            )


def _check_tensors(operation: str, part: str, split: Split) -> None:
    images, labels = split.images, split.labels
    if images.dtype != torch.uint8 or images.dim() != 4:
        raise DataError(
            operation,
            f"the tensor of {part} images",
            given=f"{_dtype(images)} of shape {_times(images.shape)}",
            expected="uint8 of shape N x C x H x W",
            remedy="Convert the images to bytes, 0 to 255, channels before rows.",
        )
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise DataError(
            operation,
            f"the tensor of {part} labels",
            given=f"{_dtype(labels)} of shape {_times(labels.shape)}",
            expected=f"int64 of shape {len(images)}, one label an image",
            remedy="Give every image one whole-number label.",
        )
    if images.numel() == 0:
        raise DataError(
            operation,
            f"the {part} split",
            given=f"empty ({_times(images.shape)})",
            expected="at least one image",
            remedy="Give the split images, or choose other sizes for the splits.",
        )


def _check_labels(operation: str, part: str, labels: Tensor, classes: int) -> None:
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        index = int(outside.nonzero()[0])
        raise DataError(
            operation,
            f"the label of {part} image {index}",
            given=str(int(labels[index])),
            expected=f"0 <= label < {classes}",
            remedy="Correct the label, or the number of classes.",
        )


def _mean_and_std(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per channel, of `images / 255`.

    Counted in whole numbers, from how often each of the 256 values occurs, so that the result is
    the same bits on every device and with any number of threads.
    """
    means, stds = [], []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.reshape(-1), minlength=256).tolist()
        count = sum(counts)
        total = sum(value * times for value, times in enumerate(counts))
        squares = sum(value * value * times for value, times in enumerate(counts))
        variance = (squares * count - total * total) / (count * count)
        means.append(total / count / 255)
        stds.append(math.sqrt(variance) / 255 or 1.0)
    return tuple(means), tuple(stds)


def _times(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "no axes"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
