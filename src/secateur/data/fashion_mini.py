"""Fashion-mini: 16,000 images of Fashion-MNIST that come with the package.

Made by `scripts/make_fashion_mini.py`. Copyright 2017 Zalando SE, MIT licence, see
FASHION-MNIST-LICENSE in this folder.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from importlib import resources

import numpy
import torch
from PIL import Image

from secateur.data.images import ImageData, image_data
from secateur.data.split import Split
from secateur.errors import DataError

FILE = "fashion_mini.png"
SHA256 = "a1fd073b44db716accb313ac8321854c68f2fe447b03dea981718529f3715f86"
COLUMNS = 100
_SIDE = 28
_CLASSES = 10
_PER_CLASS = {"train": 1000, "val": 200, "test": 400}


def fashion_mini(
    *,
    train: int = 10_000,
    val: int = 2_000,
    test: int = 4_000,
    flip: bool = False,
    crop: int = 0,
) -> ImageData:
    """Ten kinds of clothing, 28 x 28, grey: 10,000 training, 2,000 validation, 4,000 test images.

    The training and validation images are from Fashion-MNIST's official training set, the test
    images from its test set. The labels go round, so that every prefix of a split is balanced.

    Args:
        train: The first so many images to train on.
        val: The first so many to choose on.
        test: The first so many to score.
        flip: Mirror training images with probability 1/2.
        crop: Pixels by which training images are shifted, at most.

    Raises:
        DataError: The file that came with the package is missing or damaged, or there are not so
            many images.

    References:
        Xiao, Rasul, Vollgraf: Fashion-MNIST. arXiv:1708.07747, 2017.

    Example:
        >>> data = fashion_mini()
        >>> len(data.train), len(data.val), len(data.test), data.shape
        (10000, 2000, 4000, (1, 28, 28))
    """
    counts = {"train": train, "val": val, "test": test}
    _check(counts)
    with Image.open(io.BytesIO(_content())) as picture:
        sheet = numpy.array(picture)
    rows = sheet.reshape(-1, _SIDE, COLUMNS, _SIDE).transpose(0, 2, 1, 3)
    images = torch.from_numpy(rows.reshape(-1, 1, _SIDE, _SIDE))
    parts = torch.split(images, [_CLASSES * count for count in _PER_CLASS.values()])
    splits = {
        name: _first(_go_round(part), counts[name])
        for name, part in zip(_PER_CLASS, parts, strict=True)
    }
    return image_data("fashion-mini", **splits, classes=_CLASSES, flip=flip, crop=crop)


def _check(counts: Mapping[str, object]) -> None:
    for name, count in counts.items():
        there = _CLASSES * _PER_CLASS[name]
        if type(count) is not int or not 1 <= count <= there:
            raise DataError(
                "reading fashion-mini",
                name,
                given=f"{count!r:.60}",
                expected=f"a whole number of images from 1 to {there:,}",
                remedy="Ask for as many as there are, or for fewer.",
            )


def _first(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


def _content() -> bytes:
    try:
        content = resources.files("secateur.data").joinpath(FILE).read_bytes()
    except OSError as error:
        raise _damage(f"unreadable ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise _damage(f"damaged ({len(content)} bytes, SHA-256 {found})")
    return content


def _damage(given: str) -> DataError:
    return DataError(
        "reading fashion-mini",
        FILE,
        given=given,
        expected=f"the file that came with secateur, SHA-256 {SHA256}",
        remedy="Install secateur again.",
    )


def _go_round(images: torch.Tensor) -> Split:
    """Images that stand class after class, one of each class in turn, with their labels."""
    by_class = images.view(_CLASSES, -1, 1, _SIDE, _SIDE)
    labels = torch.arange(len(images)) % _CLASSES
    return Split(by_class.transpose(0, 1).reshape(-1, 1, _SIDE, _SIDE), labels)
