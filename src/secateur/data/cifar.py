"""CIFAR-10 from the official archive of its binary version; nothing is unpickled or unpacked.

The format: records of 3,073 bytes, one label and then 3 x 32 x 32 pixels, red, green and blue,
10,000 records a file (https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

import torch
from torch import Tensor

from secateur.data.holdout import draw, hold_out
from secateur.data.images import ImageData, image_data
from secateur.data.sources import OfficialFile, locate
from secateur.data.split import Split
from secateur.errors import DataError

CIFAR10 = OfficialFile(
    "cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
)
_FOLDER = "cifar-10-batches-bin"
_TRAIN = tuple(f"{_FOLDER}/data_batch_{number}.bin" for number in range(1, 6))
_TEST = (f"{_FOLDER}/test_batch.bin",)
_RECORD = 1 + 3 * 32 * 32


def cifar10(
    *,
    val_size: int = 5000,
    seed: int = 0,
    flip: bool = True,
    crop: int = 4,
    train: int | None = None,
) -> ImageData:
    """CIFAR-10: 32 x 32 colour images of ten kinds of things.

    50,000 training images less those held out, 10,000 test images. Looked for in
    `$SECATEUR_DATA/cifar10/` and the user's cache, else downloaded. The augmentation is the usual
    one for this set.

    Args:
        val_size: As for `fashion_mnist`, like all that follow.
        seed: Of that choice, and of the choice of `train`.
        flip: Mirror training images.
        crop: Shift them by so many pixels, at most.
        train: Train on so many.

    Raises:
        DataError: The archive is missing and cannot be downloaded, or is damaged, or there are not
            so many images.

    References:
        Krizhevsky: Learning multiple layers of features from tiny images. 2009.
    """
    official, test = read_archive(locate("cifar10", CIFAR10))
    rest, val = hold_out(official, val_size, seed=seed, name="cifar10")
    some = draw(rest, train, seed=seed, name="cifar10")
    return image_data("cifar10", train=some, val=val, test=test, classes=10, flip=flip, crop=crop)


def read_archive(path: Path) -> tuple[Split, Split]:
    """Read the official training and test images out of the archive.

    Raises:
        DataError: The archive is cut off or damaged, or lacks one of its six files.
    """
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                stream = archive.extractfile(member)
                if stream is not None and member.name in (*_TRAIN, *_TEST):
                    contents[member.name] = stream.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise _damage(path.name, f"damaged ({error})", "a whole tar.gz archive") from error
    train, test = (
        torch.cat([_records(path, name, contents) for name in names]) for names in (_TRAIN, _TEST)
    )
    return _split(train), _split(test)


def _records(path: Path, name: str, contents: dict[str, bytes]) -> Tensor:
    if name not in contents:
        raise _damage(f"{name} in {path.name}", "missing", "six files of records")
    content = contents[name]
    if len(content) % _RECORD or not content:
        given = f"{len(content)} bytes long"
        raise _damage(f"{name} in {path.name}", given, f"whole records of {_RECORD} bytes")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).view(-1, _RECORD)


def _split(records: Tensor) -> Split:
    return Split(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].long())


def _damage(subject: str, given: str, expected: str) -> DataError:
    return DataError(
        "reading cifar10",
        subject,
        given=given,
        expected=expected,
        remedy="Delete the archive and run again to download it anew.",
    )
