"""Images in folders named after their classes."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from secateur.data.holdout import hold_out
from secateur.data.images import ImageData, image_data
from secateur.data.split import Split
from secateur.errors import DataError

_DEEP = ("I", "F")  # Pillow's modes of more than 8 bits a channel begin so


def folder(
    root: str | Path,
    *,
    resize: int | None = None,
    grey: bool = False,
    val_share: float = 0.15,
    test_share: float = 0.15,
    seed: int = 0,
    flip: bool = False,
    crop: int = 0,
) -> ImageData:
    """Read a folder of images by class with Pillow.

    Either `root/train/<class>/<image>` with `root/test` and, if there is one, `root/val`; or
    `root/<class>/<image>`. Splits that are not there are held out, class by class. The classes
    are numbered in alphabetical order of the folders' names. Names that begin with a dot are
    passed over; every other file must be an image.

    Args:
        root: The folder.
        resize: Scale every image to so many pixels a side (its proportions are not kept);
            without it all must have one size already.
        grey: Read one channel instead of red, green and blue.
        val_share: Held out for validation where `root/val` is missing; of all images, or of the
            training images if those are apart.
        test_share: Likewise of all images, where there is no `root/test`.
        seed: Of what is held out.
        flip: Mirror training images with probability 1/2.
        crop: Pixels by which training images are shifted, at most.

    Raises:
        DataError: The folder is missing, has no classes or lacks a split, or a file in it is not
            an image, cannot be read or has another size; it is named.
    """
    _check("resize", 1 if resize is None else resize, 1, math.inf)
    _check("val_share", val_share, 0, 1)
    _check("test_share", test_share, 0, 1)
    top = Path(os.path.expanduser(root))
    parted = (top / "train").is_dir()
    names = [folder.name for folder in _folders(top / "train" if parted else top)]
    train = _read(top / "train" if parted else top, names, resize, grey)
    total = len(train)
    if parted:
        test = _read(top / "test", names, resize, grey)
    else:
        train, test = hold_out(train, round(total * test_share), seed=seed, name=top.name)
    if parted and (top / "val").is_dir():
        val = _read(top / "val", names, resize, grey)
    else:
        train, val = hold_out(train, round(total * val_share), seed=seed, name=top.name)
    return image_data(
        top.name, train=train, val=val, test=test, classes=len(names), flip=flip, crop=crop
    )


def _check(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise DataError(
            "reading a folder of images",
            option,
            given=str(value),
            expected=f"at least {low}" if math.isinf(high) else f"from {low} to {high}",
            remedy="Correct the option.",
        )


def _folders(place: Path) -> list[Path]:
    try:
        found = sorted(one for one in place.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise _refusal(place, f"unreadable ({error.strerror})", "a folder of classes") from error
    for one in found:
        if not one.is_dir():
            raise _refusal(one, "a file", "a folder named after a class")
    if not found:
        raise _refusal(place, "empty", "a folder for each class")
    return found


def _read(place: Path, names: list[str], resize: int | None, grey: bool) -> Split:
    images: list[NDArray[numpy.uint8]] = []
    labels: list[int] = []
    for class_folder in _folders(place):
        if class_folder.name not in names:
            raise _refusal(class_folder, "a class that train lacks", f"one of {', '.join(names)}")
        for path in sorted(class_folder.iterdir()):
            if path.name.startswith("."):
                continue
            image = _image(path, resize, grey)
            if images and image.shape != images[0].shape:
                raise _size_refusal(path, image, images[0])
            images.append(image)
            labels.append(names.index(class_folder.name))
    if not images:
        raise _refusal(place, "without images", "at least one image in a class's folder")
    pixels = torch.from_numpy(numpy.stack(images)).permute(0, 3, 1, 2).contiguous()
    return Split(pixels, torch.tensor(labels))


def _image(path: Path, resize: int | None, grey: bool) -> NDArray[numpy.uint8]:
    """One image, `[H, W, C]`, turned upright as its camera noted."""
    try:
        with Image.open(path) as picture:
            if picture.mode.startswith(_DEEP):
                raise _refusal(path, f"of Pillow's mode {picture.mode}", "8 bits a channel")
            upright = ImageOps.exif_transpose(picture).convert("L" if grey else "RGB")
    except UnidentifiedImageError as error:
        raise _refusal(path, "not an image", "an image that Pillow reads") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _refusal(path, f"unreadable ({error})", "a whole image") from error
    if resize is not None:
        upright = upright.resize((resize, resize), Image.Resampling.BILINEAR)
    return numpy.asarray(upright).reshape(upright.height, upright.width, -1)


def _size_refusal(
    path: Path, image: NDArray[numpy.uint8], first: NDArray[numpy.uint8]
) -> DataError:
    return DataError(
        "reading a folder of images",
        str(path),
        given=f"{image.shape[0]} x {image.shape[1]} pixels",
        expected=f"{first.shape[0]} x {first.shape[1]} like the others",
        remedy="Pass resize to bring all images to one size.",
    )


def _refusal(path: Path, given: str, expected: str) -> DataError:
    return DataError(
        "reading a folder of images",
        str(path),
        given=given,
        expected=expected,
        remedy="Correct or remove it.",
    )
