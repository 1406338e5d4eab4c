import gzip
import hashlib
import struct
from pathlib import Path

import numpy
import pytest
import torch

from secateur.data import idx, load
from secateur.data.sources import OfficialFile
from secateur.errors import DataError

NAMES = [file.name for file in idx.MNIST]


def pack(array: numpy.ndarray, magic: bytes | None = None) -> bytes:
    start = magic or bytes([0, 0, 8, array.ndim])
    return start + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


def numbers(*shape: int) -> numpy.ndarray:
    return (numpy.arange(numpy.prod(shape)) % 251).astype(numpy.uint8).reshape(shape)


def test_read_idx_gives_what_was_written(tmp_path: Path) -> None:
    array = numbers(3, 4, 5)
    found = idx.read_idx(write(tmp_path / "a.gz", pack(array)), axes=3)
    assert torch.equal(found, torch.tensor(array))


def test_read_idx_by_hand(tmp_path: Path) -> None:
    content = bytes.fromhex("00000801 00000003 070109")
    assert idx.read_idx(write(tmp_path / "a.gz", content), axes=1).tolist() == [7, 1, 9]


def test_read_idx_of_no_items(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gz", pack(numbers(0, 4, 4)))
    assert idx.read_idx(path, axes=3).shape == (0, 4, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pack(numbers(9), magic=bytes([0, 0, 13, 1])), "starts with 00000d01, expected 00000801"),
        (pack(numbers(9, 2)), "starts with 00000802, expected 00000801"),
        (b"", "starts with nothing"),
        (pack(numbers(9))[:6], "cut off after 6 bytes, expected a header of 8 bytes"),
        (pack(numbers(9))[:-2], "cut off after 15 bytes, expected 17 bytes"),
        (pack(numbers(9)) + b"xy", "too long with 19 bytes, expected 17 bytes"),
    ],
)
def test_read_idx_refuses_another_content(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        idx.read_idx(write(tmp_path / "a.gz", content), axes=1)


def test_read_idx_refuses_a_damaged_gzip(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gz", pack(numbers(5000)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"cut off after \d+ unpacked bytes"):
        idx.read_idx(path, axes=1)
    damaged = bytearray(whole)
    damaged[-6] ^= 1  # in the checksum
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"damaged .*incorrect data check"):
        idx.read_idx(path, axes=1)
    path.write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match=r"damaged .*expected a gzip file"):
        idx.read_idx(path, axes=1)
    path.unlink()
    with pytest.raises(DataError, match="unreadable"):
        idx.read_idx(path, axes=1)


def test_read_split_refuses_counts_that_differ(tmp_path: Path) -> None:
    images = write(tmp_path / "images.gz", pack(numbers(4, 3, 3)))
    labels = write(tmp_path / "labels.gz", pack(numbers(5)))
    with pytest.raises(DataError, match="labels is 5, expected 4, as many as images in images"):
        idx.read_split(images, labels)


def write_set(folder: Path, *, worst: int = 9) -> tuple[OfficialFile, ...]:
    """Sixty training and ten test images in the official format, and what is official then."""
    folder.mkdir(parents=True)
    train = numpy.arange(60, dtype=numpy.uint8) % 10
    test = numpy.arange(10, dtype=numpy.uint8)
    test[4] = worst
    arrays = numbers(60, 28, 28), train, numbers(10, 28, 28)[::-1], test
    files = []
    for name, array in zip(NAMES, arrays, strict=True):
        content = write(folder / name, pack(numpy.ascontiguousarray(array))).read_bytes()
        files.append(OfficialFile(name, hashlib.sha256(content).hexdigest(), ()))
    return tuple(files)


@pytest.mark.parametrize(
    ("name", "table"), [("mnist", "MNIST"), ("fashion-mnist", "FASHION_MNIST")]
)
def test_a_whole_set(
    name: str, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idx, table, write_set(tmp_path / name))
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path))
    data = load(name, val_size=20, seed=1, crop=2)
    assert (data.name, data.shape, data.classes, data.crop) == (name, (1, 28, 28), 10, 2)
    assert [len(split) for split in (data.train, data.val, data.test)] == [40, 20, 10]
    assert data.val.labels.bincount().tolist() == [2] * 10
    some = load(name, val_size=20, seed=1, train=10)
    assert some.train.labels.bincount().tolist() == [1] * 10
    assert torch.equal(some.val.images, data.val.images)
    assert torch.equal(data.test.images[:, 0], torch.tensor(numbers(10, 28, 28)[::-1].copy()))


def test_a_label_outside_the_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "MNIST", write_set(tmp_path / "mnist", worst=10))
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"label of test image 4 is 10, expected 0 <= label < 10"):
        load("mnist", val_size=20)


def test_a_file_that_is_not_the_official_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "mnist")
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is damaged or another file"):
        load("mnist")


@pytest.mark.skipif(
    not idx.DEBIAN_FASHION_MNIST.is_dir(), reason="needs Debian's dataset-fashion-mnist"
)
def test_debian_s_fashion_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECATEUR_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = load("fashion-mnist")
    assert [len(split) for split in (data.train, data.val, data.test)] == [55_000, 5_000, 10_000]
    assert data.val.labels.bincount().tolist() == [500] * 10
    assert data.test.labels.bincount().tolist() == [1000] * 10
