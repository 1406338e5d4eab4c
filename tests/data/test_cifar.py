import hashlib
import io
import tarfile
from pathlib import Path

import numpy
import pytest
import torch

from secateur.data import cifar, load
from secateur.data.sources import OfficialFile
from secateur.errors import DataError

TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]


def records(count: int, start: int) -> bytes:
    pixels = (numpy.arange(count * 3072) * 7 + start) % 251
    labels = (numpy.arange(count) + start) % 10
    return numpy.column_stack([labels, pixels.reshape(count, 3072)]).astype(numpy.uint8).tobytes()


def contents() -> dict[str, bytes]:
    files = {name: records(4, 4 * number) for number, name in enumerate(TRAIN)}
    return {**files, "test_batch.bin": records(6, 50), "readme.html": b"<html>"}


def write(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_records_are_a_label_and_three_planes(tmp_path: Path) -> None:
    train, test = cifar.read_archive(write(tmp_path / "a.tar.gz", contents()))
    assert train.images.shape == (20, 3, 32, 32)
    assert train.labels.tolist() == [number % 10 for number in range(20)]
    assert test.labels.tolist() == [0, 1, 2, 3, 4, 5]
    second = contents()["data_batch_1.bin"][3073 : 2 * 3073]
    assert train.images[1, 2, 3, 4] == second[1 + 2 * 1024 + 3 * 32 + 4]


def test_the_set_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "cifar10" / cifar.CIFAR10.name, contents())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(cifar, "CIFAR10", OfficialFile(path.name, digest, ()))
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path))
    data = load("cifar10", val_size=10)
    assert (data.shape, data.classes, data.flip, data.crop) == ((3, 32, 32), 10, True, 4)
    assert [len(split) for split in (data.train, data.val, data.test)] == [10, 10, 6]
    assert data.val.labels.bincount().tolist() == [1] * 10
    assert data.train.images.dtype == torch.uint8
    assert len(load("cifar10", val_size=10, train=5).train) == 5


@pytest.mark.parametrize("cut", [1, 2, 10])
def test_an_archive_that_is_cut_off(cut: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar.gz", contents())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 // cut])
    with pytest.raises(DataError, match=r"a\.tar\.gz"):
        cifar.read_archive(path)


def test_bytes_that_are_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match="is damaged"):
        cifar.read_archive(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    files = contents()
    del files["data_batch_3.bin"]
    with pytest.raises(DataError, match=r"data_batch_3\.bin in a\.tar\.gz is missing"):
        cifar.read_archive(write(tmp_path / "a.tar.gz", files))


@pytest.mark.parametrize("content", [b"", records(2, 0)[:-1]])
def test_records_that_are_not_whole(content: bytes, tmp_path: Path) -> None:
    files = {**contents(), "test_batch.bin": content}
    with pytest.raises(DataError, match=rf"test_batch\.bin .* is {len(content)} bytes long"):
        cifar.read_archive(write(tmp_path / "a.tar.gz", files))


def test_a_label_outside_the_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {**contents(), "test_batch.bin": bytes([11]) + bytes(3072)}
    path = write(tmp_path / "cifar10" / cifar.CIFAR10.name, files)
    monkeypatch.setattr(cifar, "locate", lambda *_: path)
    with pytest.raises(DataError, match="the label of test image 0 is 11"):
        load("cifar10", val_size=5)
