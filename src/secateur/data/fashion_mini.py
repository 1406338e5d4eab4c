"""Fashion-mini: 16,000 images of Fashion-MNIST that come with the package.

Made by `scripts/make_fashion_mini.py`. Copyright 2017 Zalando SE, MIT licence, see
FASHION-MNIST-LICENSE in this folder.
"""

from __future__ import annotations

import hashlib
import io
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


def fashion_mini(*, flip: bool = False, crop: int = 0) -> ImageData:
    """Ten kinds of clothing, 28 x 28, grey: 10,000 training, 2,000 validation, 4,000 test images.

    The training and validation images are from Fashion-MNIST's official training set, the test
    images from its test set. The labels go round, so that every prefix of a split is balanced.

    Args:
        flip: Mirror training images with probability 1/2.
        crop: Pixels by which training images are shifted, at most.

    Raises:
        DataError: The file that came with the package is missing or damaged.

    References:
        Xiao, Rasul, Vollgraf: Fashion-MNIST. arXiv:1708.07747, 2017.

    Example:
        >>> data = fashion_mini()
        >>> len(data.train), len(data.val), len(data.test), data.shape
        (10000, 2000, 4000, (1, 28, 28))
    """
    with Image.open(io.BytesIO(_content())) as picture:
        sheet = numpy.array(picture)
    rows = sheet.reshape(-1, _SIDE, COLUMNS, _SIDE).transpose(0, 2, 1, 3)
    images = torch.from_numpy(rows.reshape(-1, 1, _SIDE, _SIDE))
    parts = torch.split(images, [_CLASSES * count for count in _PER_CLASS.values()])
    splits = dict(zip(_PER_CLASS, map(_go_round, parts), strict=True))
    return image_data("fashion-mini", **splits, classes=_CLASSES, flip=flip, crop=crop)


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
