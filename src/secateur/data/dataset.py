"""Data from any torch `Dataset` of the user's own."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from secateur.data.images import ELSEWHERE, ImageData, image_data
from secateur.data.split import Split
from secateur.errors import DataError


def from_dataset(
    train: Dataset[Any],
    val: Dataset[Any],
    test: Dataset[Any],
    *,
    classes: int,
    name: str = "dataset",
    flip: bool = False,
    crop: int = 0,
) -> ImageData:
    """Read three map-style datasets of `(image, label)` pairs into memory, once.

    Give the images as they are stored: bytes, or floats that are bytes / 255 (torchvision's
    `ToTensor`). Random transforms would be frozen at what this one reading draws, and a
    normalisation would not fit into bytes: leave both out, they happen a batch at a time here.

    Args:
        train: Its items are pairs: an image (a tensor `[C, H, W]` or `[H, W]`, uint8 or floats in
            0 .. 1; an array `[H, W]` or `[H, W, C]` of uint8; or a Pillow image) and a label.
        val: Likewise.
        test: Likewise.
        classes: Labels lie in `0 .. classes - 1`.
        name: What to call it in reports.
        flip: Mirror training images with probability 1/2.
        crop: Pixels by which training images are shifted, at most.

    Raises:
        DataError: An item cannot be read as an image and a label without loss, or the splits do
            not fit together.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> items = TensorDataset(torch.rand(6, 3, 8, 8).mul(255).byte(), torch.arange(6) % 2)
        >>> from_dataset(items, items, items, classes=2).shape
        (3, 8, 8)
    """
    splits = {
        part: _read(name, part, source)
        for part, source in (("train", train), ("val", val), ("test", test))
    }
    return image_data(name, **splits, classes=classes, flip=flip, crop=crop)


def _read(name: str, part: str, source: Dataset[Any]) -> Split:
    if not isinstance(source, Sized) or not hasattr(source, "__getitem__"):
        raise DataError(
            f"reading {name}",
            f"the {part} dataset",
            given=f"without a length or without items by number (a {type(source).__name__})",
            expected="a map-style dataset",
            remedy="Give it __len__ and __getitem__, put its items in a list, or pass the dataset "
            "of a DataLoader: loader.dataset.",
        )
    if len(source) == 0:
        raise DataError(
            f"reading {name}",
            f"the {part} split",
            given="empty",
            expected="at least one image",
            remedy="Give the split images.",
        )
    images, labels = [], []
    for index in range(len(source)):
        place = f"{part} item {index}"
        image, label = _pair(name, place, source[index])
        images.append(_bytes(name, place, image))
        labels.append(_whole(name, place, label))
        if images[-1].shape != images[0].shape:
            raise _refusal(name, place, f"of shape {tuple(images[-1].shape)}")
    return Split(torch.stack(images), torch.tensor(labels, dtype=torch.int64))


def _pair(name: str, place: str, item: object) -> tuple[object, object]:
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    raise DataError(
        f"reading {name}",
        place,
        given=f"{len(item)} values"
        if isinstance(item, tuple | list)
        else f"of type {type(item).__name__}",
        expected="a pair: an image and its class",
        remedy=f"Return (image, label) from the dataset. {ELSEWHERE}",
    )


def _bytes(name: str, place: str, image: object) -> Tensor:
    """One image as uint8 `[C, H, W]`, refused where bytes would not hold it exactly."""
    if not isinstance(image, Tensor):
        array = _array(name, place, image)
        if array.dtype != numpy.uint8 or array.ndim not in (2, 3):
            raise _refusal(name, place, f"{array.dtype} of shape {array.shape}")
        image = torch.from_numpy(array)
        image = image.permute(2, 0, 1) if image.dim() == 3 else image
    image = image[None] if image.dim() == 2 else image
    if image.dim() != 3:
        raise _refusal(name, place, f"of shape {tuple(image.shape)}", ELSEWHERE)
    if image.is_floating_point():
        scaled = image.mul(255)
        rounded = scaled.round()
        exact = bool(((scaled - rounded).abs() < 0.01).all())
        if not exact or rounded.min() < 0 or rounded.max() > 255:
            raise _refusal(name, place, "floats that are not bytes / 255")
        image = rounded.to(torch.uint8)
    if image.dtype != torch.uint8:
        raise _refusal(name, place, str(image.dtype).removeprefix("torch."))
    return image


def _array(name: str, place: str, image: object) -> NDArray[numpy.generic]:
    try:
        return numpy.array(image)
    except Exception:  # whatever the object's own conversion raises
        raise _refusal(name, place, f"a {type(image).__name__}") from None


def _kind(value: object) -> str:
    """What was given, in a few words: a value if it is short, else its type and shape."""
    if isinstance(value, Tensor | numpy.ndarray) and value.shape:
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    if isinstance(value, Tensor):
        return f"{value.item()!r}"
    text = repr(value)
    return text if len(text) <= 40 else f"a {type(value).__name__}"


def _whole(name: str, place: str, label: object) -> int:
    value = label
    if isinstance(label, numpy.generic) or (isinstance(label, Tensor) and label.numel() == 1):
        value = label.item()
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(
            f"reading {name}",
            f"the label of {place}",
            given=_kind(label),
            expected="one whole number, the class",
            remedy=f"Return (image, label) with an integer class. {ELSEWHERE}",
        )
    return value


def _refusal(name: str, place: str, given: str, remedy: str = "") -> DataError:
    return DataError(
        f"reading {name}",
        f"the image of {place}",
        given=given,
        expected="bytes (or bytes / 255) of shape [C, H, W] or [H, W], all of one shape",
        remedy=remedy or "Leave out normalisation and augmentation, and resize to one size.",
    )
