"""Fashion-MNIST and MNIST from their official gzipped IDX files.

The format: two zero bytes, a type code, the number of axes, the length of each axis as a
big-endian 32-bit integer, then the values in C order (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from secateur.data.holdout import draw, hold_out
from secateur.data.images import ImageData, image_data
from secateur.data.sources import OfficialFile, locate
from secateur.data.split import Split
from secateur.errors import DataError

_UNSIGNED_BYTE = 0x08
_GZIP = 31

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def _official(host: str, name: str, sha256: str, *also: str) -> OfficialFile:
    return OfficialFile(name, sha256, (f"{host}/{name}",), also)


_ZALANDO = "https://fashion-mnist.s3.eu-central-1.amazonaws.com"
_TORCH = "https://ossci-datasets.s3.amazonaws.com/mnist"

# In the order: training images and labels, test images and labels. Debian packs the same bytes
# without the file name in the gzip header, hence the second SHA-256.
FASHION_MNIST = (
    _official(
        _ZALANDO,
        "train-images-idx3-ubyte.gz",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    ),
    _official(
        _ZALANDO,
        "train-labels-idx1-ubyte.gz",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    ),
    _official(
        _ZALANDO,
        "t10k-images-idx3-ubyte.gz",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    ),
    _official(
        _ZALANDO,
        "t10k-labels-idx1-ubyte.gz",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    ),
)
MNIST = (
    _official(
        _TORCH,
        "train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    _official(
        _TORCH,
        "train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    _official(
        _TORCH,
        "t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    _official(
        _TORCH,
        "t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)


def fashion_mnist(
    *,
    val_size: int = 5000,
    seed: int = 0,
    flip: bool = False,
    crop: int = 0,
    train: int | None = None,
) -> ImageData:
    """Fashion-MNIST in full: 28 x 28 grey images of ten kinds of clothing.

    60,000 training images less those held out, 10,000 test images. Looked for in
    `$SECATEUR_DATA/fashion-mnist/`, the user's cache and Debian's folder, else downloaded.

    Args:
        val_size: Images of the official training set that make the validation split.
        seed: Of that choice.
        flip: Mirror training images with probability 1/2.
        crop: Pixels by which training images are shifted, at most.
        train: Train on so many of the images that are not held out; on all, if None.

    Raises:
        DataError: A file is missing and cannot be downloaded, or is damaged, or there are not so
            many images.

    References:
        Xiao, Rasul, Vollgraf: Fashion-MNIST. arXiv:1708.07747, 2017.
    """
    paths = [locate("fashion-mnist", file, [DEBIAN_FASHION_MNIST]) for file in FASHION_MNIST]
    return _bind("fashion-mnist", paths, val_size, seed, flip, crop, train)


def mnist(
    *,
    val_size: int = 5000,
    seed: int = 0,
    flip: bool = False,
    crop: int = 0,
    train: int | None = None,
) -> ImageData:
    """MNIST: 28 x 28 grey images of handwritten digits.

    60,000 training images less those held out, 10,000 test images. Looked for in
    `$SECATEUR_DATA/mnist/` and the user's cache, else downloaded.

    Args:
        val_size: As for `fashion_mnist`.
        seed: As for `fashion_mnist`.
        flip: As for `fashion_mnist`.
        crop: As for `fashion_mnist`.
        train: As for `fashion_mnist`.

    Raises:
        DataError: A file is missing and cannot be downloaded, or is damaged.

    References:
        LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition.
        Proceedings of the IEEE 86(11), 1998.
    """
    paths = [locate("mnist", file) for file in MNIST]
    return _bind("mnist", paths, val_size, seed, flip, crop, train)


def _bind(
    name: str,
    paths: list[Path],
    val_size: int,
    seed: int,
    flip: bool,
    crop: int,
    count: int | None,
) -> ImageData:
    official = read_split(paths[0], paths[1])
    test = read_split(paths[2], paths[3])
    rest, val = hold_out(official, val_size, seed=seed, name=name)
    train = draw(rest, count, seed=seed, name=name)
    return image_data(name, train=train, val=val, test=test, classes=10, flip=flip, crop=crop)


def read_split(images: Path, labels: Path) -> Split:
    """Read a file of images and the file of their labels.

    Args:
        images: Gzipped IDX of three axes: images, rows, columns.
        labels: Gzipped IDX of one axis.

    Raises:
        DataError: A file is damaged, or the two do not have the same length.
    """
    pixels, classes = read_idx(images, axes=3), read_idx(labels, axes=1)
    if len(pixels) != len(classes):
        raise DataError(
            f"reading {labels.name}",
            "the number of labels",
            given=str(len(classes)),
            expected=f"{len(pixels)}, as many as images in {images.name}",
            remedy="Put two files together that belong together.",
        )
    return Split(pixels[:, None], classes.long())


def read_idx(path: Path, *, axes: int) -> Tensor:
    """Read one gzipped IDX file of unsigned bytes.

    Args:
        path: The file.
        axes: How many axes it must have.

    Returns:
        uint8, of the shape that the file states.

    Raises:
        DataError: It cannot be read, is not gzip, is cut off, or is not such an IDX file.
    """
    content = _unzip(path)
    header = 4 + 4 * axes
    magic = bytes([0, 0, _UNSIGNED_BYTE, axes])
    if content[:4] != magic:
        raise _damage(path, f"one that starts with {content[:4].hex() or 'nothing'}", magic.hex())
    if len(content) < header:
        raise _damage(path, f"cut off after {len(content)} bytes", f"a header of {header} bytes")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    expected = header + math.prod(shape)
    if len(content) != expected:
        state = "cut off after" if len(content) < expected else "too long with"
        raise _damage(path, f"{state} {len(content)} bytes", f"{expected} bytes for {shape}")
    if expected == header:
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(content, dtype=torch.uint8, offset=header).reshape(shape)


def _unzip(path: Path) -> bytearray:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        content = bytearray(unpacker.decompress(path.read_bytes()))
    except OSError as error:
        raise _damage(path, f"unreadable ({error.strerror})", "a readable file") from error
    except zlib.error as error:
        raise _damage(path, f"damaged ({error})", "a gzip file") from error
    if not unpacker.eof:
        raise _damage(path, f"cut off after {len(content)} unpacked bytes", "the whole file")
    return content


def _damage(path: Path, given: str, expected: str) -> DataError:
    return DataError(
        f"reading {path.name}",
        str(path),
        given=given,
        expected=expected,
        remedy="Delete it and run again to download it anew.",
    )
