"""Make src/secateur/data/fashion_mini.png from Debian's package dataset-fashion-mnist.

    python scripts/make_fashion_mini.py [FOLDER [TARGET]]

The first 1,000 training and next 200 validation images of each class come from the official
training file, the first 400 test images of each class from the official test file. They stand a
hundred a row: train, val, test; in each split class after class; in each class as in the official
file. So the labels need no bytes, and like stands beside like, which compresses better.

Why a PNG (12,544,000 bytes of pixels; measured on 2 cores with Pillow 13.0, the other rows on the
first 16,000 training images):

    packing             bytes       read
    PNG, sorted         6,257,750   0.09 s
    PNG, not sorted     6,480,026   0.13 s
    WebP, sorted        6,172,304   0.22 s  (and 55 s to write)
    xz, sorted          6,133,464   0.36 s
    bz2, sorted         6,554,558   0.53 s

xz would save 2 % and costs four times the reading; PNG is read by what secateur needs anyway, and
one can look at it.

The pixels are the same everywhere, and the script checks their SHA-256. The bytes of the file are
the same with the same Pillow and zlib (13.0.0 with zlib-ng, from the wheel for x86-64 Linux); a
new file's SHA-256 goes into fashion_mini.py.
"""

import hashlib
import sys
from pathlib import Path

import numpy
from numpy.typing import NDArray
from PIL import Image

from secateur.data import fashion_mini, idx

TARGET = Path(fashion_mini.__file__).with_name(fashion_mini.FILE)
PIXELS_SHA256 = "bb901196d5269ee52f8be2d433fbd99f9cb53c8c089a97a761cb9c0b82001126"


def main() -> None:
    """Pack, check against the pinned pixels, and write."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else idx.DEBIAN_FASHION_MNIST
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET
    images = choose(folder)
    pixels = hashlib.sha256(images.tobytes()).hexdigest()
    if pixels != PIXELS_SHA256:
        sys.exit(f"other images than those of fashion-mini: SHA-256 {pixels}")
    Image.fromarray(arrange(images)).save(target, compress_level=9)
    content = target.read_bytes()
    print(f"{target}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


def choose(folder: Path) -> NDArray[numpy.uint8]:
    """The 16,000 images, `[16000, 28, 28]`: split after split, in it class after class."""
    parts = []
    for prefix, sizes in (("train", (1000, 200)), ("t10k", (400,))):
        split = idx.read_split(
            folder / f"{prefix}-images-idx3-ubyte.gz", folder / f"{prefix}-labels-idx1-ubyte.gz"
        )
        images, labels = split.images[:, 0].numpy(), split.labels.numpy()
        start = 0
        for size in sizes:
            parts += [images[labels == label][start : start + size] for label in range(10)]
            start += size
    return numpy.concatenate(parts)


def arrange(images: NDArray[numpy.uint8]) -> NDArray[numpy.uint8]:
    """Lay the images out on one sheet, `fashion_mini.COLUMNS` a row."""
    rows = images.reshape(-1, fashion_mini.COLUMNS, 28, 28).transpose(0, 2, 1, 3)
    return rows.reshape(-1, fashion_mini.COLUMNS * 28)


if __name__ == "__main__":
    main()
